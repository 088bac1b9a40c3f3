/**
 * The memory that outlives the daemon: what is written is read; what is not ours is known to be so.
 */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeRecord,
  encodeRecord,
  RECORD_BYTES,
  type MemoryRecord,
} from '../../src/backend/vfio/records.js'

const SEED = Number(process.env['SEED'] ?? 20_261_126)
const u32 = fc.nat({ max: 0xffff_ffff })
const own = fc.record({ ioas: u32, dirtyTracking: fc.boolean() })
const target = fc.nat({ max: 2 ** 20 - 1 })
const info = fc.record({
  dataType: u32,
  data: fc.uint8Array({ maxLength: 40 }),
  maxPasidLog2: fc.nat({ max: 20 }),
  capabilities: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
})

const record: fc.Arbitrary<MemoryRecord> = fc.oneof(
  fc.record({
    type: fc.constant('HEADER' as const),
    session: u32,
    parent: u32,
    ownParent: fc.option(own, { nil: undefined }),
    faults: fc.option(fc.record({ id: u32, own: fc.boolean() }), { nil: undefined }),
  }),
  fc.record({
    type: fc.constant('DEVICE' as const),
    name: fc.stringMatching(/^[a-z0-9-]{1,63}$/),
    devId: u32,
    info,
    resting: fc.constantFrom('NO' as const, 'YES' as const, 'INTENDED' as const),
  }),
  fc.record({
    type: fc.constant('HWPT' as const),
    id: u32,
    table: fc.record({
      kind: fc.constant('FIRST_STAGE' as const),
      address: fc.nat({ max: 2 ** 40 - 1 }).map((page) => page * 4096),
      width: fc.constantFrom(48 as const, 57 as const),
      supervisor: fc.boolean(),
      writeProtect: fc.boolean(),
      extendedAccessed: fc.boolean(),
    }),
  }),
  fc.record({
    type: fc.constant('PLACE' as const),
    device: u32,
    target,
    // The last stands for the parent.
    hwpt: fc.option(fc.nat({ max: 0xffff_fffe }), { nil: undefined }),
    domain: fc.nat({ max: 0xffff }),
  }),
  fc.record({
    type: fc.constant('PAGE' as const),
    device: u32,
    target,
    group: fc.nat({ max: 511 }),
    cookie: u32,
    address: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    perm: fc.nat({ max: 15 }),
  }),
)

test(`every record is read as it was written (seed ${SEED})`, () => {
  fc.assert(
    fc.property(record, (written) => {
      const bytes = encodeRecord(written)
      expect(bytes).toHaveLength(RECORD_BYTES)
      expect(decodeRecord(bytes)).toEqual(written)
    }),
    { seed: SEED, numRuns: 500 },
  )
})

test(`bytes of anybody are a record, none, or broken, and never an error (seed ${SEED})`, () => {
  const bytes = fc.uint8Array({ minLength: RECORD_BYTES, maxLength: RECORD_BYTES })
  const typed = fc.tuple(fc.nat({ max: 7 }), bytes).map(([type, rest]) => {
    rest[0] = type
    return rest
  })
  fc.assert(
    fc.property(typed, (given) => {
      const read = decodeRecord(given)
      if (read === undefined) expect(given[0]).toBe(0)
      else if (read !== 'BROKEN') expect(decodeRecord(encodeRecord(read))).toEqual(read)
    }),
    { seed: SEED, numRuns: 2000 },
  )
})

test('what is written is whole within a page', () => {
  expect(4096 % RECORD_BYTES).toBe(0)
  expect(decodeRecord(encodeRecord(undefined))).toBeUndefined()
})
