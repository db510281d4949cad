/** `75` -> `1m15s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  const two = (n: number) => String(n).padStart(2, '0')
  if (h > 0) return `${h}h${two(m)}m`
  return m > 0 ? `${m}m${two(s)}s` : `${s}s`
}

/** `1234567` -> `1,234,567`. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

/** A share as percent: `0.4567` -> `45.7 %`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

/** `2500000` -> `2.5 MB`. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3))
  return `${(count / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** A bar of `width` characters, `share` of it filled. */
export function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width)
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`
}

/** Rows of cells in aligned columns; the first row is the header. Cells that look like numbers go to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const [header = [], ...body] = rows
  const columns = header.map((_, column) => ({
    width: Math.max(...rows.map((row) => row[column]?.length ?? 0)),
    isNumber: body.length > 0 && body.every((row) => /^[-+\d[(]|^$/.test(row[column] ?? '')),
  }))
  const line = (row: readonly string[]) =>
    columns
      .map(({ width, isNumber }, i) =>
        isNumber ? (row[i] ?? '').padStart(width) : (row[i] ?? '').padEnd(width),
      )
      .join('  ')
      .trimEnd()
  return [line(header), columns.map(({ width }) => '-'.repeat(width)).join('  '), ...body.map(line)].join(
    '\n',
  )
}
