import { type DownloadName, download } from '../../index.js'
import { given, isOn, numberOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { bar, bytes } from '../format.js'
import { Interrupt } from '../interrupt.js'

const FLAGS: Flag[] = [
  { name: 'out', value: 'DIR', description: "folder for the data set's own folder", default: 'data' },
  {
    name: 'mirror',
    value: 'URL',
    description: 'folder with the same files in place of the official address',
  },
  { name: 'retries', value: 'N', description: 'attempts after a broken connection', default: '5' },
  { name: 'json', description: 'one JSON object on standard output' },
]

/** `amdim download`. */
export const command: Command = {
  name: 'download',
  positionals: ['NAME'],
  description:
    'Fetches a data set: cifar10, cifar100, stl10 (2.6 GB) or mnist. A download that was broken off goes on where it\n' +
    'ended; files are checked by the checksums that are published. For imagenet and places205 it says what to do.',
  async groups() {
    return [{ title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] }]
  },
  notes: [
    'Proxies are taken from https_proxy, http_proxy and no_proxy.',
    'examples:',
    '  amdim download cifar10',
    '  amdim train --data data/cifar10/cifar-10-binary.tar.gz',
  ],
  async run(line, terminal) {
    const [name = ''] = line.positionals
    using interrupt = new Interrupt(terminal, 'stopping; the same command goes on with the download')
    const { path, files, fetched } = await download(name as DownloadName, {
      ...given('out', line),
      ...given('mirror', line),
      ...numberOf('retries', line),
      signal: interrupt.signal,
      onProgress: ({ file, received, total }) =>
        terminal.status(
          total === null
            ? `${file} ${bytes(received)}`
            : `${file} ${bar(received / Math.max(1, total), 20)} ${bytes(received)} of ${bytes(total)}`,
        ),
    })
    terminal.clearStatus()
    if (isOn(line, 'json')) terminal.out(JSON.stringify({ path, files, fetched }))
    else {
      for (const file of files) terminal.note(`${fetched.includes(file) ? 'fetched' : 'was there'}  ${file}`)
      terminal.out(path)
    }
    return EXIT.ok
  },
}
