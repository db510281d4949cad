import { doctor } from '../../index.js'
import { given, isOn } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS } from '../flags.js'

/** `amdim doctor`. */
export const command: Command = {
  name: 'doctor',
  positionals: [],
  description:
    'Looks at the installation: addon, device, threads, CPU features; runs a self-test of a few seconds.',
  async groups() {
    const flags = [
      { name: 'device', value: 'TEXT', description: 'auto, cpu, cuda, cuda:N or metal', default: 'auto' },
      { name: 'json', description: 'one JSON object on standard output' },
    ]
    return [{ title: 'options', flags: [...flags, ...COMMON_FLAGS] }]
  },
  async run(line, terminal) {
    const report = await doctor(given('device', line))
    if (isOn(line, 'json')) terminal.out(JSON.stringify(report))
    else {
      const { addon, device } = report
      terminal.out(
        `addon     ${addon.version} for ${addon.target}, features: ${addon.features.join(', ') || 'none'}`,
      )
      terminal.out(`node      ${report.node}`)
      terminal.out(`device    ${device.resolved} (${device.description})`)
      terminal.out(`threads   ${report.threads}`)
      terminal.out(`cpu       ${report.cpuFeatures.join(', ') || 'no special instructions'}`)
      for (const { name, ok, detail } of report.checks)
        terminal.out(`${`${ok ? 'ok' : 'FAILED'}    `.slice(0, 10)}${name}: ${detail}`)
    }
    return report.ok ? EXIT.ok : EXIT.failure
  },
}
