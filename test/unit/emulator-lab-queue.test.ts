/** The unit's own queue as operators write to it: past the broker, in the hardware's numbers. */

import { describe, expect, test } from 'vitest'
import type { BackendListener } from '../../src/backend/backend.js'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import type { LabRaised } from '../../src/backend/lab.js'
import { GuestTables } from '../support/emulator-guest.js'
import { DOMAIN, ONE, Rig, VM } from '../support/emulator-rig.js'
import { queueBytes } from '../support/raw-invalidation.js'

const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const FUZZED = 4000
const SOURCE = 0x123n
const small = { order: 0, writable: true, user: true } as const
const WAIT = 5n
const DRAIN = 0x80n
const BAD: readonly [bigint, bigint] = [0xen, 0n]

const piotlb = (domain: number, page: number) =>
  [6n | (3n << 4n) | (BigInt(domain) << 16n) | (1n << 32n), BigInt(page) << 12n] as const
const deviceTlb = (sourceId: bigint, page: number) =>
  [8n | (sourceId << 16n) | (1n << 32n), BigInt(page) << 12n] as const
const response = (sourceId: bigint, group: number) =>
  [9n | (1n << 4n) | (sourceId << 16n) | (1n << 32n), BigInt(group) << 3n] as const

interface Bound {
  readonly rig: Rig
  readonly tables: GuestTables
}

async function bound(): Promise<Bound> {
  const rig = new Rig({ sourceId: Number(SOURCE) })
  await rig.attach()
  const tables = new GuestTables(rig.guest)
  await rig.bind(tables.table())
  return { rig, tables }
}

function raise(rig: Rig, group: number, how: { device?: string; last?: boolean } = {}): LabRaised {
  const { device = 'dev', last = true } = how
  const rights = { read: true, write: false, execute: false, privileged: false }
  const request = { device, target: ONE, group, address: 0x5000n, ...rights, last }
  return rig.emulator.raisePageRequest(request)
}

/** Groups that the listener was told to have ended. */
function endings(rig: Rig): string[] {
  const ended: string[] = []
  const listener: BackendListener = {
    pageRequest: () => undefined,
    pageRequestGone: ({ device, group }) => ended.push(`${device} ${group}`),
    fault: () => undefined,
    reset: () => undefined,
  }
  rig.emulator.listen(listener)
  return ended
}

describe('submitted descriptors', () => {
  test('cure a stale translation by the tags that the oracle names', async () => {
    const { rig, tables } = await bound()
    const { lab } = rig.emulator
    tables.map(5, { ...small, frame: 0x100 })
    rig.ask(5)
    tables.map(5, { ...small, frame: 0x200 })
    const access = { device: 'dev', target: 1, address: 0x5000n, write: false, privileged: false }
    const needed = lab.translate(access).staleness?.needed ?? []
    expect(needed.map(({ cache }) => cache)).toEqual(['IOTLB', 'DEVICE_TLB'])
    const domain = needed[0]?.domain ?? 0
    // Of another domain and another device: they reach nothing here.
    const others = [piotlb(domain + 1, 5), deviceTlb(SOURCE + 1n, 5)]
    expect(lab.submitDescriptors(queueBytes(...others), true)).toMatchObject({ done: 2 })
    expect(rig.answer(5)).toBe(`256 DEVICE_TLB`)
    const cure = queueBytes(piotlb(domain, 5), deviceTlb(SOURCE, 5))
    const nothing = { problem: undefined, statusWrites: [], interrupts: 0 }
    expect(lab.submitDescriptors(cure, true)).toEqual({ done: 2, ...nothing })
    expect(rig.answer(5)).toBe(`512 TABLES`)
  })

  test('a bad one stops the queue, over calls and in its state, until it is cleared', async () => {
    const { lab } = (await bound()).rig.emulator
    const stopped = lab.submitDescriptors(queueBytes([WAIT, 0n], BAD, [WAIT, 0n]), true)
    expect(stopped).toMatchObject({ done: 1, problem: expect.stringMatching(/./) as string })
    const { problem } = stopped
    expect(lab.state().queueProblem).toBe(problem)
    expect(lab.submitDescriptors(queueBytes([WAIT, 0n]), true)).toMatchObject({ done: 0, problem })
    lab.clearQueueError()
    expect(lab.state().queueProblem).toBeUndefined()
    const again = lab.submitDescriptors(queueBytes([WAIT, 0n]), true)
    expect(again).toMatchObject({ done: 1, problem: undefined })
  })

  test('descriptors of 256 bits are bad in a narrow queue', async () => {
    const { lab } = (await bound()).rig.emulator
    const narrow = queueBytes(piotlb(2, 5)).subarray(0, 16)
    expect(lab.submitDescriptors(narrow, false)).toMatchObject({ done: 0 })
    lab.clearQueueError()
    expect(lab.submitDescriptors(queueBytes(piotlb(2, 5)), true)).toMatchObject({ done: 1 })
  })

  test('what waits store is handed back, and nothing is stored: not in tables either', async () => {
    const { rig } = await bound()
    const { lab } = rig.emulator
    const before = lab.dump('dev', { first: 0, count: 8, walk: undefined }).lines
    const { root } = lab.state()
    const store = (address: number) => [0x20n | (0xabcdn << 32n) | WAIT, BigInt(address)] as const
    const guest = rig.emulator.hostAddress(VM, 0) ?? 0
    const interrupt: readonly [bigint, bigint] = [0x10n | WAIT, 0n]
    const bytes = queueBytes(store(root), store(guest + 4), interrupt)
    expect(lab.submitDescriptors(bytes, true)).toMatchObject({
      done: 3,
      statusWrites: [
        { address: BigInt(root), data: 0xabcd },
        { address: BigInt(guest) + 4n, data: 0xabcd },
      ],
      interrupts: 1,
    })
    expect(lab.readMemory(VM, 0)).toBe(0n)
    expect(lab.dump('dev', { first: 0, count: 8, walk: undefined }).lines).toEqual(before)
  })
})

describe('page requests', () => {
  test('a response reaches the group that waits, and the listener hears of its end', async () => {
    const { rig } = await bound()
    const ended = endings(rig)
    const raised = raise(rig, 7)
    if (raised.state !== 'DELIVERED') throw new Error(raised.state)
    const { lab } = rig.emulator
    // Another group, another device: nobody waits there.
    const lost = queueBytes(response(SOURCE, 8), response(0x4321n, 7))
    expect(lab.submitDescriptors(lost, true)).toMatchObject({ done: 2 })
    expect(ended).toEqual([])
    expect(lab.submitDescriptors(queueBytes(response(SOURCE, 7)), true)).toMatchObject({ done: 1 })
    expect(await raised.answered).toBe('SUCCESS')
    expect(ended).toEqual(['dev 7'])
    // It has its answer: the session's own comes too late.
    const late = { device: 'dev', target: ONE, group: 7, code: 'SUCCESS' } as const
    await expect(rig.emulator.respond(late)).rejects.toMatchObject({ kind: 'REFUSE' })
  })

  test('a wait that drains ends those of every device, incomplete ones too', async () => {
    const { rig, tables } = await bound()
    const { emulator } = rig
    emulator.addDevice({ ...DEVICE_DEFAULTS, name: 'second' })
    await emulator.attachDevice('second', VM)
    const place = { device: 'second', session: VM, target: ONE }
    await emulator.bind({ ...place, table: tables.table(), domain: DOMAIN })
    const ended = endings(rig)
    const groups = [raise(rig, 1), raise(rig, 2), raise(rig, 1, { device: 'second' })]
    expect(raise(rig, 3, { last: false }).state).toBe('WAITING')
    emulator.lab.submitDescriptors(queueBytes([WAIT, 0n]), true)
    expect(ended).toEqual([])
    emulator.lab.submitDescriptors(queueBytes([DRAIN | WAIT, 0n]), true)
    expect(ended).toEqual(['dev 1', 'dev 2', 'second 1'])
    for (const group of groups) {
      expect(group.state === 'DELIVERED' && (await group.answered)).toBe('INVALID')
    }
    // The index is free: the incomplete group is gone as well.
    expect(emulator.reset('dev', 0)).toBe(0)
  })
})

/** mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const ADDRESS = ~0xfffn & (2n ** 64n - 1n)
const DID = 7n << 16n
const PASID = 3n << 32n
/** Bits that a type has a use for, with few ids: low and high word. */
const USED: Readonly<Record<number, readonly [bigint, bigint]>> = {
  1: [0x30n | DID | (SOURCE << 32n) | (3n << 48n), 0n],
  2: [0xf0n | DID, ADDRESS | 0x7fn],
  3: [SOURCE << 32n, ADDRESS | 1n],
  4: [0x10n, 0n],
  5: [0xf0n | (0xffff_ffffn << 32n), ADDRESS | 0xffcn],
  6: [0x30n | DID | PASID, ADDRESS | 0x7fn],
  7: [0x30n | DID | PASID, 0n],
  8: [(SOURCE << 16n) | PASID, ADDRESS | 0x801n],
  9: [0x10n | 0xf000n | (SOURCE << 16n) | PASID, 0xff8n],
}

/** Of any type, mostly with the bits of its type only. */
function randomDescriptors(random: (below: number) => number, wide: boolean): Buffer {
  const size = wide ? 32 : 16
  const cut = random(16) === 0 ? 7 : 0
  const bytes = Buffer.alloc(random(5) * size + cut)
  const word = () => (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32))
  for (let at = 0; at + size <= bytes.length; at += size) {
    const type = random(11)
    const all = 2n ** 64n - 1n
    const [low, high] = random(8) === 0 ? [all, all] : (USED[type] ?? [all, all])
    bytes.writeBigUInt64LE((word() & low & ~0xfn) | BigInt(type), at)
    bytes.writeBigUInt64LE(word() & high, at + 8)
    if (wide && random(32) === 0) bytes.writeBigUInt64LE(word(), at + 16)
  }
  return bytes
}

test(`random descriptors are carried out or refused, never thrown (SEED=${SEED})`, async () => {
  const { rig, tables } = await bound()
  const { lab } = rig.emulator
  for (let page = 0; page < 64; page += 1) tables.map(page, { ...small, frame: page + 0x100 })
  const random = randomOf(SEED)
  let done = 0
  let stopped = 0
  for (let i = 0; i < FUZZED; i += 1) {
    const wide = random(4) > 0
    rig.ask(random(64))
    raise(rig, random(512))
    const submitted = lab.submitDescriptors(randomDescriptors(random, wide), wide)
    done += submitted.done
    if (submitted.problem === undefined) continue
    stopped += 1
    lab.clearQueueError()
  }
  expect(done).toBeGreaterThan(FUZZED / 10)
  expect(stopped).toBeGreaterThan(FUZZED / 10)
  expect(rig.answer(5)).toMatch(/^261 /)
})
