import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** A folder that does not exist yet: `runs/2024-05-31T14-02-09-tiny`, in local time. */
export function defaultRunFolder(preset: string, now: Date = new Date(), root = 'runs'): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-')
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('-')
  const folder = join(root, `${day}T${time}-${preset}`)
  // Runs started in the same second.
  for (let n = 2; ; n++) {
    const candidate = n === 2 ? folder : `${folder}-${n - 1}`
    if (!existsSync(candidate)) return candidate
  }
}
