/**
 * A 64-bit paging entry as two numbers, its lower and upper half: walks read a dozen of them for a
 * request, and arithmetic on a BigInt makes a new one each time. Used by both page walks.
 */

const quad = new BigUint64Array(1)
const halves = new Uint32Array(quad.buffer)

/** Bits 31:0. */
export function lowOf(entry: bigint): number {
  quad[0] = entry
  return halves[0] ?? 0
}

/** Bits 63:32. */
export function highOf(entry: bigint): number {
  quad[0] = entry
  return halves[1] ?? 0
}

/** Bits 51:12, a page number: of the table or page that the entry leads to. */
export function outputOf(low: number, high: number): number {
  return (high & 0xf_ffff) * 2 ** 20 + (low >>> 12)
}
