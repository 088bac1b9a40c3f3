/**
 * A bug stops the process: `assert` states what always holds, and a broken invariant is never
 * handled, only reported. Used on every floor; refusals and faults never pass through here.
 */

export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message)
}

/**
 * For the hot paths, as `if (!holds) broken(...)`: a message with values in it is made only when it
 * is needed; before assert() it would be made each time.
 */
export function broken(message: string): never {
  throw new InvariantViolation(message)
}

/** The value of something that the caller knows to be there; its absence is a bug. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new InvariantViolation(`${what} must be present`)
  return value
}
