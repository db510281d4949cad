import { z } from 'zod'

/** What every option carries beside its type: the text of its help, and a short command-line flag if it has one. */
export interface FieldNotes {
  description: string
  /** Short flag without dashes; every option also has its dotted path as flag. */
  flag?: string
}

/** Attaches the notes that JSON schema, command line and documentation are made from. */
export function field<T extends z.ZodType>(schema: T, description: string, flag?: string): T {
  return schema.meta(flag === undefined ? { description } : { description, flag })
}

/** An object that refuses unknown keys and whose default is that of its parts. */
export function group<T extends z.ZodRawShape>(shape: T, description: string) {
  const object = z.strictObject(shape)
  // Parsing at first use rather than here keeps the groups free of an order of declaration.
  return object.prefault(() => ({}) as z.input<typeof object>).meta({ description })
}

export const probability = () => z.number().min(0).max(1)
export const positive = () => z.number().positive()
export const nonNegative = () => z.number().min(0)
export const count = () => z.int().min(1)
