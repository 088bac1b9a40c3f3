/** What a case of bad input is: one message to one RPC, and the answer it must get. */
import type { Method, TestSession } from './service-rig.js'

export interface World {
  /** Holds 300..302, 310 and 100000 in HOST scope, 7 on vf0; 300 is bound on mdev0. */
  readonly own: TestSession
  /** Holds 400. */
  readonly other: TestSession
  /** Used by `own` to allocate 310, and by the tenant to open a session. */
  readonly requestId: string
}

export interface Case {
  readonly method: Method
  readonly name: string
  readonly make: (world: World) => { readonly message: object; readonly append?: Buffer }
  /** What is sent as the token instead of that of `own`. */
  readonly token?: (world: World) => string
  readonly expected: {
    readonly code: string
    readonly reason: string
    readonly metadata?: Readonly<Record<string, string>>
  }
  /** Found by decoding: on a Control stream the field's path begins with the command. */
  readonly wire?: boolean
  readonly onControl?: boolean
  /** The refusal is recorded: the revision moves, nothing else. */
  readonly audited?: boolean
}

export type Expected = Case['expected']
export type Make = (world: World) => object

export const PASIDS = 'a whole number from 1 to 1048575'
export const LONG = 'x'.repeat(70_000)

export function argument(field: string, value?: string, bound?: string): Expected {
  const metadata = { field, ...(value && { value }), ...(bound && { bound }) }
  return { code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT', metadata }
}

export function refusal(
  code: string,
  reason: string,
  metadata: Record<string, string> = {},
): Expected {
  return { code, reason, metadata }
}

/** A message that is honestly encoded. */
export function message(method: Method, name: string, make: Make, expected: Expected): Case {
  return { method, name, make: (world) => ({ message: make(world) }), expected }
}

/** A message with raw bytes behind it. */
export function raw(
  method: Method,
  name: string,
  base: Make,
  append: Buffer,
  expected: Expected,
): Case {
  const make = (world: World) => ({ message: base(world), append })
  return { method, name, make, expected, wire: true }
}

export const notFound = (pasid: string, scope = 'HOST'): Expected => {
  return refusal('NOT_FOUND', 'PASID_NOT_FOUND', { pasid, scope })
}
