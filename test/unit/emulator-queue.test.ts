/** The raw invalidation queue of a unit: order, waits, and where it stops. */

import { describe, expect, test } from 'vitest'
import { firstStage, PASID, ROOT, SOURCE, USER, VA } from '../support/slow-tables.js'
import { UnitRig } from '../support/unit-tables.js'

/** Low and high word of a descriptor; the upper 128 bits are 0. */
type Raw = readonly [bigint, bigint]

const STATUS = 0x9_0000n
const WAIT: Raw = [0x20n | 5n | (0xabcdn << 32n), STATUS + 4n]
const FENCE_AND_DRAIN: Raw = [5n | 0x40n | 0x80n | 0x10n, 0n]
const PASID_IOTLB: Raw = [6n | (2n << 4n) | (7n << 16n) | (BigInt(PASID) << 32n), 0n]
const RESERVED: Raw = [PASID_IOTLB[0] | (1n << 63n), 0n]

function bytes(wide: boolean, ...descriptors: readonly Raw[]): Uint8Array {
  const words = wide ? 4 : 2
  const quads = new BigUint64Array(descriptors.length * words)
  for (const [i, descriptor] of descriptors.entries()) quads.set(descriptor, i * words)
  return new Uint8Array(quads.buffer)
}

function makeRig(): UnitRig {
  const rig = new UnitRig(firstStage().tables)
  rig.queue.setWide(true)
  return rig
}

describe('invalidation queue', () => {
  test('a wait has its status stored after everything before it', () => {
    const { tables, entries } = firstStage()
    const rig = new UnitRig(tables)
    rig.queue.setWide(true)
    rig.ask(VA)
    tables.put(entries.at(-1) ?? ROOT, 0x999000n | USER)
    expect(rig.answer(VA)).toContain('! IOTLB')
    expect(rig.queue.run(bytes(true, PASID_IOTLB, WAIT))).toEqual({ done: 2, error: undefined })
    expect(rig.answer(VA)).toBe('0x999000 TABLES')
    expect(rig.asked).toEqual(['store 0xabcd at 0x90004'])
  })

  test('a wait drains and interrupts when it says so', () => {
    const rig = makeRig()
    const response: Raw = [9n | (BigInt(SOURCE) << 16n) | (1n << 12n), 5n << 3n]
    expect(rig.queue.run(bytes(true, response, FENCE_AND_DRAIN))).toMatchObject({ done: 2 })
    expect(rig.asked).toEqual(['respond 5 INVALID', 'drain', 'interrupt'])
  })

  test('an invalid descriptor stops the queue before it does anything, until cleared', () => {
    const rig = makeRig()
    const stopped = rig.queue.run(bytes(true, PASID_IOTLB, RESERVED, WAIT))
    expect(stopped.done).toBe(1)
    expect(stopped.error?.problem).toContain('reserved')
    expect(rig.asked).toEqual([])
    expect(rig.queue.run(bytes(true, WAIT))).toEqual({ done: 0, error: stopped.error })
    rig.queue.clearError()
    expect(rig.queue.error).toBeUndefined()
    expect(rig.queue.run(bytes(true, WAIT))).toEqual({ done: 1, error: undefined })
  })

  test('256-bit descriptors are for wide queues only', () => {
    const rig = makeRig()
    rig.queue.setWide(false)
    const { done, error } = rig.queue.run(bytes(false, WAIT, PASID_IOTLB))
    expect({ done, why: error?.problem.includes('IQA_REG.DW') }).toEqual({ done: 1, why: true })
  })

  test('what remains of a cut-off descriptor is an error', () => {
    const rig = makeRig()
    expect(rig.queue.run(bytes(true, WAIT).subarray(0, 31))).toMatchObject({ done: 0 })
    expect(rig.queue.error).toBeDefined()
  })

  test('a device that is not there has empty caches', () => {
    const rig = makeRig()
    const device: Raw = [3n | (0x4321n << 32n), 0n]
    expect(rig.queue.run(bytes(true, device, WAIT))).toEqual({ done: 2, error: undefined })
  })

  test('each descriptor is logged by its fields while the log is on', () => {
    const rig = makeRig()
    rig.unit.log.on = true
    const context: Raw = [1n | (1n << 4n), 0n]
    const cache: Raw = [7n | (1n << 4n) | (7n << 16n) | (BigInt(PASID) << 32n), 0n]
    rig.queue.run(bytes(true, context, cache, PASID_IOTLB))
    expect(rig.unit.log.list().map(({ kind }) => kind)).toEqual([
      'INVALIDATE_CONTEXT',
      'INVALIDATE_PASID_CACHE',
      'INVALIDATE_PIOTLB',
    ])
  })
})
