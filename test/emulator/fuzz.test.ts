/**
 * Structures of the kernel and descriptors of the hardware, wrong in every way: at every length,
 * with every bit flipped, and by chance. None throws, each is judged as by a second judge, a share
 * is carried out on a broker and an emulator, and what is refused has changed nothing.
 * SEED=n repeats a run, FUZZ=n is how many there are in process (10 000 000 in `npm run proof`); a
 * thousandth goes through sockets.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { target } from '../../src/core/ids.js'
import type { VmmResponse } from '../../src/wire/messages.js'
import { BrokerRig, removeFolders, SHARED, WHOLE } from '../support/broker-rig.js'
import { ok, type RigVm } from '../support/broker-rig-vm.js'
import { canonicalLines } from '../support/canonical.js'
import { stopAll } from '../support/daemon.js'
import { Guest, GuestTables } from '../support/emulator-guest.js'
import {
  CACHE_INFOS,
  descriptorExample,
  DESCRIPTORS,
  fuzzed,
  FuzzRandom,
  S1_ENTRIES,
  STRUCTURES,
  type Structure,
} from '../support/fuzz-structures.js'
import * as made from '../support/raw-invalidation.js'
import { ServiceRig } from '../support/service-rig.js'
import { VfioContainer } from '../support/vfio-container.js'

const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const COUNT = Number(process.env['FUZZ'] ?? 4_000_000)
const EXECUTED = Math.ceil(COUNT / 100)
const SENT = Math.ceil(COUNT / 1000)
/** Longer than the structure by so much at most, in the run over all lengths. */
const LONGER = 64
/** Bits. */
const NEAR = 72
/** The long run, in parts that each fit their time on a busy machine. */
const PARTS = [1, 2, 3, 4] as const

function failure(structure: Structure, bytes: Uint8Array, problem: string): string {
  return `${structure.name}: ${problem}: ${Buffer.from(bytes).toString('hex')} (SEED=${SEED})`
}

function judge(structure: Structure, bytes: Uint8Array): void {
  const problem = structure.check(bytes)
  if (problem !== undefined) throw new Error(failure(structure, bytes, problem))
}

describe.each(STRUCTURES)('$name', (structure) => {
  const { examples } = structure
  test('at every shorter and longer length, zeros or ones behind it', () => {
    for (const whole of examples) {
      for (let length = 0; length <= whole.length + LONGER; length += 1) {
        for (const fill of [0, 0xff]) {
          const bytes = new Uint8Array(length).fill(fill)
          bytes.set(whole.subarray(0, length))
          judge(structure, bytes)
        }
      }
    }
  })
  test('with every bit flipped, alone and with each of those near it', () => {
    for (const whole of examples) {
      for (let a = 0; a < whole.length * 8; a += 1) {
        for (let b = a; b < Math.min(a + NEAR, whole.length * 8); b += 1) {
          const bytes = new Uint8Array(whole)
          for (const bit of new Set([a, b])) {
            bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          }
          judge(structure, bytes)
        }
      }
    }
  })
})

test.each(PARTS)(`${COUNT} by chance, part %i (SEED=${SEED})`, (part) => {
  const random = new FuzzRandom(SEED + 10 * part)
  const lots = STRUCTURES.flatMap((one) => new Array<Structure>(one.weight).fill(one))
  const rare = STRUCTURES.filter(({ weight }) => weight === 0)
  for (let i = 0; i < COUNT / PARTS.length; i += 1) {
    const from = i % 50 === 0 ? rare : lots
    const structure = from[random.below(from.length)]
    if (structure !== undefined) judge(structure, fuzzed(structure, random))
  }
})

/** A structure of what InvalidateRaw takes, in one of its forms. */
const BY_NAME = new Map(STRUCTURES.map((one) => [one.name, one]))

function some(name: string, random: FuzzRandom): Buffer {
  const structure = BY_NAME.get(name)
  if (structure === undefined) throw new Error(name)
  return Buffer.from(fuzzed(structure, random))
}

/** Several descriptors, most of them legal. */
function queueOf(random: FuzzRandom): Buffer {
  const parts: Uint8Array[] = []
  for (let count = random.below(6); count >= 0; count -= 1) {
    const words = DESCRIPTORS[random.below(DESCRIPTORS.length)]
    if (words === undefined || random.below(3) === 0) {
      parts.push(some('wide descriptors', random).subarray(0, 32))
    } else parts.push(descriptorExample(words, 32))
  }
  const bytes = Buffer.concat(parts)
  return bytes.subarray(0, bytes.length - (bytes.length % 32))
}

function formOf(random: FuzzRandom, targets: readonly number[]): made.RawForm {
  const how = random.below(10)
  if (how < 6) {
    return made.queue(queueOf(random), [
      { sourceId: 0x108, device: 'devices/emu0' },
      { sourceId: random.below(2 ** 16 - 0x109) + 0x109, device: 'devices/emu1' },
    ])
  }
  if (how < 8) {
    const bytes = some('iommu_cache_invalidate_info', random)
    if (random.below(2) === 0 && bytes.length >= 28) {
      bytes.writeUInt32LE(targets[random.below(targets.length)] ?? 1, 24)
    }
    return made.structure(bytes.length < 16 ? Buffer.from(CACHE_INFOS[0] ?? []) : bytes)
  }
  const entries =
    random.below(3) > 0 ? some('iommu_hwpt_vtd_s1_invalidate', random) : Buffer.alloc(0)
  const more = random.below(20) === 0 ? { dataType: random.next() } : {}
  const entryNum = Math.ceil(entries.length / 24)
  const at = targets[random.below(targets.length)] ?? 0
  return made.table(at === 0 ? 'emu1' : 'emu0', at, entries, { entryNum, ...more })
}

describe('carried out', () => {
  let rig: BrokerRig
  let vm: RigVm
  let targets: number[]

  beforeAll(async () => {
    rig = await BrokerRig.start({ devices: [SHARED, WHOLE], scopes: new Map() })
    vm = await rig.vm()
    ok(await vm.attach('emu0'))
    ok(await vm.attach('emu1'))
    const guest = new Guest()
    rig.emulator.setGuestMemory(vm.id, guest.memory)
    const tables = new GuestTables(guest)
    for (let page = 0; page < 16; page += 1) {
      tables.map(page, { frame: page, order: 0, writable: true, user: true })
    }
    targets = [await vm.one(), await vm.one()]
    for (const [i, at] of targets.entries()) {
      const table = tables.table()
      ok(await vm.bind(at, { domain: 2 + i, guestPasid: 5 + i, table }))
    }
    ok(await vm.bind(0, { domain: 3, devices: ['emu1'], table: tables.table() }))
    targets.push(0)
    rig.emulator.lab.set({ operationLog: true })
  })
  afterAll(async () => {
    await rig.stop()
    removeFolders()
  })

  /** Of the broker all, of the emulator what is bound. Nothing here may change that. */
  async function lasting(): Promise<string> {
    const observed = await rig.emulator.observe()
    return JSON.stringify([canonicalLines(rig.broker.state), observed])
  }
  function warmUp(random: FuzzRandom): void {
    for (const at of targets) {
      const device = at === 0 ? 'emu1' : 'emu0'
      const address = BigInt(random.below(20)) << 12n
      const access = { device, target: target(at), address, write: false, privileged: false }
      rig.emulator.lab.translate(access)
    }
  }

  test(`${EXECUTED} of them (SEED=${SEED})`, async () => {
    const random = new FuzzRandom(SEED + 1)
    const before = await lasting()
    const { operations } = rig.emulator
    let done = 0
    let stopped = 0
    /** Those that reached a table or cache. */
    let acted = 0
    for (let i = 0; i < EXECUTED; i += 1) {
      warmUp(random)
      // What is recorded is what is done to tables and caches, not what requests fill them with.
      operations.clear()
      const form = formOf(random, targets)
      const answer = await made.raw(rig.broker, vm.id, form)
      const shown = (): string => `${JSON.stringify(form)} (SEED=${SEED})`
      if (!answer.ok) {
        // The message around the structure was wrong, or the table is not there.
        expect(operations.list(), shown()).toEqual([])
        continue
      }
      const result: VmmResponse<'InvalidateRaw'> = answer.value
      expect(result.lost, shown()).toBeUndefined()
      done += result.done ?? 0
      if (operations.list().length > 0) acted += 1
      if ((result.error ?? 0) === 0) continue
      stopped += 1
      expect(result.problem, shown()).not.toBe('')
      if (result.done === 0) expect(operations.list(), shown()).toEqual([])
    }
    expect(await lasting()).toBe(before)
    expect(done).toBeGreaterThan(EXECUTED / 4)
    expect(acted).toBeGreaterThan(EXECUTED / 4)
    expect(stopped).toBeGreaterThan(EXECUTED / 20)
    rig.throwBugs()
    expect(await rig.problems()).toEqual([])
  })
})

describe('through a socket', () => {
  let rig: ServiceRig

  beforeAll(async () => {
    rig = await ServiceRig.start()
  })
  afterAll(async () => {
    rig.close()
    await stopAll()
  })

  test(`${SENT} InvalidateRaw and ioctls (SEED=${SEED})`, async () => {
    const random = new FuzzRandom(SEED + 2)
    const session = await rig.openSession(['mdev0'])
    const named = { session: session.name }
    const exact = { ...named, exact: { pasids: [300] } }
    await rig.vmm.must('PasidBroker/AllocatePasids', exact, session.token)
    const table = { firstStage: { address: 4096, addressWidth: 48 }, domain: 2, guestPasid: 5 }
    const bind = { ...named, pasid: 300, devices: ['devices/mdev0'], ...table }
    await rig.vmm.must('PasidBroker/BindPasid', bind, session.token)
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    for (let i = 0; i < SENT; i += 1) {
      const before = rig.everything()
      const { message, ioctl } = sentOf(random)
      if (ioctl === undefined) {
        const named300 = { ...named, ...message }
        const reply = await rig.vmm.call('PasidBroker/InvalidateRaw', named300, session.token)
        expect(rig.everything(), JSON.stringify(message)).toBe(before)
        if (!reply.ok) expect(reply.refusal.reason).toMatch(/INVALID_ARGUMENT|NOT_BOUND/)
        continue
      }
      const { request, data } = ioctl
      const { result, error } = await container.call(request, { data })
      const text = `0x${request.toString(16)} ${data.toString('hex')} (SEED=${SEED})`
      if (result !== -1) continue
      expect(error, text).toBeGreaterThan(0)
      expect(rig.everything(), text).toBe(before)
    }
    expect(rig.daemon.broker.state.sessions.size).toBe(2)
  })
})

const IOCTLS: readonly (readonly [request: number, structure: string])[] = [
  [0x3b70, 'pasid_request (v7)'],
  [0x3b76, 'pasid_request (v7)'],
  [0x3b77, 'nesting_op'],
  [0x3b7a, 'pasid_request (v1)'],
  [0x3b7b, 'bind (v1)'],
  [0x3b7c, 'cache_invalidate (v1)'],
]

interface Sent {
  readonly message: object
  readonly ioctl: { readonly request: number; readonly data: Buffer } | undefined
}

function sentOf(random: FuzzRandom): Sent {
  const how = random.below(8)
  if (how >= 4) {
    const [known, name] = IOCTLS[random.below(IOCTLS.length)] ?? [0, '']
    const request = random.below(10) === 0 ? random.next() : known
    return { message: {}, ioctl: { request, data: some(name, random) } }
  }
  if (how === 0) {
    const cacheInvalidateInfo = some('iommu_cache_invalidate_info', random)
    return { message: { cacheInvalidateInfo }, ioctl: undefined }
  }
  if (how === 1) {
    const entries = Buffer.from(S1_ENTRIES[random.below(2)] ?? [])
    const vtdS1 = { pasid: 300 + random.below(2), device: 'devices/mdev0', entryLen: 24 }
    const message = { vtdS1: { ...vtdS1, entryNum: random.below(3), entries } }
    return { message, ioctl: undefined }
  }
  const sourceIds = [{ sourceId: 0x108, device: 'devices/mdev0' }]
  const descriptors = how === 2 ? queueOf(random) : some('wide descriptors', random)
  return { message: { vtdDescriptors: { descriptors, wide: true, sourceIds } }, ioctl: undefined }
}
