/** Parts of SVG pictures that every plot shares. */

/** Colours of series, told apart also by people who do not see all colours (Okabe and Ito). */
export const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'] as const

/** The colour of a series. */
export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] as string
}

/** Text as it may stand in SVG. */
export function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** A whole picture on white. */
export function svgPicture(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

/** A text; `anchor` is where `x` lies in it. */
export function svgText(
  x: number,
  y: number,
  text: string,
  {
    anchor = 'start',
    size = 12,
    bold = false,
  }: { anchor?: 'start' | 'middle' | 'end'; size?: number; bold?: boolean } = {},
): string {
  const weight = bold ? ' font-weight="bold"' : ''
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}"${weight}>${escapeText(text)}</text>`
}

/** Coordinates to a tenth of a pixel: enough for the eye, and files stay small. */
export function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}

/** Share of a step by which values may lie beyond the ends: less than a dot is wide, and not worth a step more. */
const BEYOND = 0.01

/**
 * Round numbers from about or below `low` to about or above `high`: about `count` steps of 1, 2 or 5 times a power of ten.
 */
export function ticks(low: number, high: number, count = 5): number[] {
  const span = high - low || Math.abs(high) || 1
  const rough = span / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power
  const first = Math.floor(low / step + BEYOND)
  const last = Math.ceil((low + span) / step - BEYOND)
  // Multiples are rounded to the step's digits, so that 3 * 0.1 is 0.3.
  const digits = Math.max(0, -Math.floor(Math.log10(step)))
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(digits)))
}
