/**
 * The laboratory as a VMM author uses it, over real sockets: a device that is made at run time, its
 * guest's tables laid in memory, accesses that go stale and are cured by what the oracle names,
 * page requests that the VMM answers, tables that are read back.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  OperatorClient,
  PasidClient,
  type EmulatorLab,
  type PasidSession,
} from '../../src/client/index.js'
import type { InvalidationEntry } from '../../src/wire/generated/pasid/v1/InvalidationEntry.js'
import { startInProcess, stopAll } from '../support/daemon.js'
import { LabRig, PAGE_TABLE, RIGHTS } from '../support/lab-rig.js'

let rig: LabRig
let lab: EmulatorLab

beforeAll(async () => {
  rig = await LabRig.start()
  lab = rig.lab
})

afterAll(async () => {
  rig.close()
  await stopAll()
})

/** What the oracle names, sent as it stands. */
async function cure(
  session: PasidSession,
  needed: readonly { readonly remedy: string }[],
): Promise<void> {
  await session.invalidate(needed.map(({ remedy }) => JSON.parse(remedy) as InvalidationEntry))
}

describe('a device made at run time', () => {
  test('translates, goes stale, and is fresh after exactly what the oracle names', async () => {
    const made = await lab.createDevice({ name: 'made0', shared: true })
    expect(made.device).toMatchObject({
      name: 'devices/made0',
      scope: 'SCOPE_HOST',
      pasidBits: 20,
      translation: 'PASID_TRANSLATION_MEDIATED',
      platform: 'PLATFORM_INTEL_VTD',
      present: true,
      shared: true,
      pageRequests: true,
    })
    const { session, pasid } = await rig.guest('made0')
    const access = { device: 'made0', target: pasid, address: 0x7123n }
    const first = await lab.translate(access)
    expect(first).toMatchObject({ source: 'tables', staleness: null })
    const host = BigInt(first.translated?.address ?? 0)
    expect(host & 0xfffn).toBe(0x123n)
    expect(await lab.translate(access)).toMatchObject({ source: 'device-tlb', staleness: null })
    // The guest maps another page there, and forgets to say so.
    await rig.write(session, PAGE_TABLE + 7n * 8n, 0x9_0000n | RIGHTS)
    const stale = await lab.translate(access)
    expect(stale.translated?.address).toBe(first.translated?.address)
    expect(stale.source).toBe('device-tlb')
    const should = BigInt(stale.staleness?.translated?.address ?? 0)
    expect(should - host).toBe(0x9_0000n - 0x8_7000n)
    const place = { pasid, device: 'devices/made0', address: '28672', pages: '1', leaf: true }
    expect(stale.staleness?.needed).toEqual([
      {
        cache: 'iotlb',
        hardwareDomain: expect.any(Number) as number,
        pasid,
        device: '',
        address: '28672',
        size: '4096',
        remedy: JSON.stringify({ addresses: place, caches: ['INVALIDATION_CACHE_IOTLB'] }),
      },
      {
        cache: 'device-tlb',
        hardwareDomain: 0,
        pasid,
        device: 'devices/made0',
        address: '28672',
        size: '4096',
        remedy: JSON.stringify({ addresses: place, caches: ['INVALIDATION_CACHE_DEVICE_TLB'] }),
      },
    ])
    // Half of it is not enough.
    const needed = stale.staleness?.needed ?? []
    await cure(session, needed.slice(1))
    const half = await lab.translate(access)
    expect(half).toMatchObject({ source: 'iotlb', translated: first.translated })
    // The device-TLB was empty, so only the other half was missing; it is filled from there by now.
    expect(half.staleness?.needed.map(({ cache }) => cache)).toEqual(['iotlb'])
    await cure(session, needed)
    expect(await lab.translate(access)).toMatchObject({
      source: 'tables',
      translated: { address: should.toString() },
      staleness: null,
    })
    await session.closeSession()
    expect(await lab.translate(access)).toMatchObject({ outcome: 'fault', staleness: null })
  })

  test('has the defaults of its platform', async () => {
    const arm = await lab.createDevice({ name: 'arm0', platform: 'PLATFORM_ARM_SMMUV3' })
    expect(arm.device).toMatchObject({ pasidBits: 20, addressWidths: [] })
    const amd = await lab.createDevice({ name: 'amd0', platform: 'PLATFORM_AMD' })
    expect(amd.device).toMatchObject({ pasidBits: 16, addressWidths: [] })
    const session = await rig.vmm.openSession()
    const bind = async (device: string): Promise<void> => {
      await session.attachDevice({ device: `devices/${device}` })
      await session.bindPasid({ rid: true, devices: [`devices/${device}`], passThrough: {} })
    }
    await bind('arm0')
    await expect(bind('amd0')).rejects.toMatchObject({
      reason: 'TABLE_UNSUPPORTED',
      metadata: { value: 'pass_through' },
    })
    await session.closeSession()
  })

  test('a page request is answered by the unit’s own queue, past its VMM', async () => {
    const sourceId = 0xbeef
    await lab.createDevice({ name: 'queued0', shared: true, sourceId })
    const { session, pasid } = await rig.guest('queued0')
    const place = { device: 'queued0', target: pasid, group: 5, address: 0x7000n, read: true }
    const waiting = lab.raisePageRequest({ ...place, waitMs: 20_000 })
    const words = [9n | (1n << 4n) | (BigInt(sourceId) << 16n) | (BigInt(pasid) << 32n), 5n << 3n]
    const descriptors = Buffer.from(new BigUint64Array([...words, 0n, 0n]).buffer)
    // The request is on its way beside this: the first answers may meet none.
    let state = ''
    void waiting.then((answer) => (state = answer.state))
    const answer = async (): Promise<string> => {
      const { done } = await lab.submitDescriptors({ descriptors, wide: true })
      expect(done).toBe(1)
      return state
    }
    await expect.poll(answer, { timeout: 20_000 }).toBe('SUCCESS')
    await session.closeSession()
  })

  test('a page request is answered by the VMM on its Control stream', async () => {
    await lab.createDevice({ name: 'made1', shared: true })
    const { session, pasid } = await rig.guest('made1')
    const seen: { token: Buffer; pages: readonly object[] }[] = []
    const control = await session.control({
      receivePageRequests: true,
      onEvent: ({ kind, event }) => {
        if (kind === 'pageRequest') seen.push(event)
      },
    })
    const place = { device: 'made1', target: pasid, group: 5, read: true } as const
    const begun = await lab.raisePageRequest({ ...place, address: 0x7000n, last: false })
    expect(begun.state).toBe('WAITING')
    const waiting = lab.raisePageRequest({ ...place, address: 0x8000n, waitMs: 20_000 })
    await expect.poll(() => seen.length).toBe(1)
    expect(seen[0]?.pages).toMatchObject([
      { address: '28672', read: true, write: false },
      { address: '32768', read: true, write: false },
    ])
    const token = seen[0]?.token ?? Buffer.alloc(0)
    await session.respondPageRequest({ token, code: 'PAGE_RESPONSE_CODE_SUCCESS' })
    expect(await waiting).toEqual({ state: 'SUCCESS' })
    await control.close()
    await session.closeSession()
  })

  test('its tables are dumped, with every level of a walk', async () => {
    await lab.createDevice({ name: 'made2', shared: true, sourceId: 0x1a1 })
    const { session, pasid } = await rig.guest('made2')
    const dump = await lab.dumpTables('made2', { firstPasid: pasid, walkAddress: 0x7000n })
    expect(dump.entries).toMatchObject([{ pasid, session: session.name }])
    const bytes = dump.entries[0]?.entry ?? Buffer.alloc(0)
    expect(bytes).toHaveLength(64)
    // P and PGTT 3; DID in 79:64; FLPTPTR in the third quarter.
    expect(bytes.readBigUInt64LE(0) & 0x1c1n).toBe(0xc1n)
    expect(bytes.readBigUInt64LE(16) & ~0xfffn).toBe(0x1000n)
    const domain = bytes.readUInt16LE(8)
    const text = dump.lines.join('\n')
    expect(text).toMatch(/^root entry of bus 0x1 at 0x[0-9a-f]+: 0x[0-9a-f]+ = P 1 UCTP 0x/m)
    expect(text).toMatch(/^context entry 01:14.1 at 0x.* = P 1 FPD 0 DTE 1 PASIDE 1 PRE 1 PDTS 7 /m)
    expect(text).toMatch(/^PASID directory entry \d+ at 0x.* = P 1 FPD 0 SMPTBLPTR 0x/m)
    const entry = `PGTT 3 \\(nested\\) DID ${domain} AW 2 \\(48 bits\\) .* FLPTPTR 0x1000$`
    expect(text).toMatch(
      new RegExp(`^PASID entry ${pasid} at 0x[0-9a-f]+: P 1 FPD 0 ${entry}`, 'm'),
    )
    expect(text).toMatch(/^second stage at 0x[0-9a-f]+: 4 levels, 4 tables, leaves: 256 of 4 KiB$/m)
    for (const level of [4, 3, 2, 1]) {
      expect(text).toMatch(new RegExp(`^ {2}first stage, level ${level}: entry \\d+ of 0x`, 'm'))
    }
    expect(text).toMatch(/level 1: entry 7 of 0x4000 at 0x[0-9a-f]+: 0x87007, flags U\/S R\/W P$/m)
    expect(text).toMatch(/^ {2}leaf: guest-physical 0x87000$/m)
    await session.closeSession()
    const gone = await lab.dumpTables('made2')
    expect(gone.entries).toEqual([])
    expect(gone.lines.at(-1)).toBe('nobody has the device attached: no PASID table')
  })

  test('what was done to tables and caches is listed while the log is on', async () => {
    const from = (await lab.listOperations({ count: 1000 })).operations.at(-1)?.sequence ?? '0'
    await lab.update({ operationLog: true })
    await lab.createDevice({ name: 'made3', shared: true })
    const { session, pasid } = await rig.guest('made3')
    await session.unbindPasids({ target: { pasid } })
    await lab.update({ operationLog: false })
    const { operations, lost } = await lab.listOperations({ after: from })
    expect(lost).toBe('0')
    expect(operations.map(({ sequence }) => Number(sequence))).toEqual(
      operations.map((_, i) => Number(from) + 1 + i),
    )
    const texts = operations.map(({ text }) => text)
    expect(texts).toContain(`SET_PRESENT device made3 target ${pasid}`)
    const teardown = operations.slice(operations.findIndex(({ kind }) => kind === 'CLEAR_PRESENT'))
    expect(teardown.map(({ kind }) => kind)).toEqual([
      'CLEAR_PRESENT',
      'INVALIDATE_PASID_CACHE',
      'INVALIDATE_IOTLB',
      'INVALIDATE_DEVICE_TLB',
      'CLEAR_ENTRY',
      'DRAIN_PAGE_REQUESTS',
    ])
    await session.closeSession()
  })

  test('recorded faults are listed and watched, with those of other devices left out', async () => {
    await lab.createDevice({ name: 'made4', shared: true })
    const { session, pasid } = await rig.guest('made4')
    const watch = lab.watchFaults('made4')
    await watch.begun
    await lab.translate({ device: 'emu1', target: 'rid', address: 0x1000n })
    const access = { device: 'made4', target: pasid, address: 0x20_0000n, write: true }
    const { fault } = await lab.translate(access)
    expect(fault).toMatchObject({ name: 'FIRST_STAGE_ENTRY_NOT_PRESENT', recorded: true })
    const seen = await watch[Symbol.asyncIterator]().next()
    watch.cancel()
    const told = {
      device: 'devices/made4',
      target: { pasid },
      reason: fault?.reason,
      name: fault?.name,
      address: '2097152',
      write: true,
      privileged: false,
    }
    expect(seen.value).toMatchObject({ event: 'fault', fault: told })
    const { faults } = await lab.listFaults('made4')
    expect(faults).toMatchObject([told])
    expect((await lab.listFaults()).faults.map(({ device }) => device)).toContain('devices/emu1')
    await session.closeSession()
  })
})

describe('the ledger and a device made at run time', () => {
  test('keeps its number: after a restart it is absent and LOST, and comes back as it was', async () => {
    const other = await startInProcess()
    const vmm = new PasidClient({ socket: other.vmmSocket })
    let admin = new OperatorClient({ socket: other.adminSocket })
    await admin.emulator.createDevice({ name: 'gone0', scope: 'SCOPE_DEVICE', pasidBits: 8 })
    const session = await vmm.openSession()
    await session.attachDevice({ device: 'devices/gone0' })
    const scope = { scope: 'SCOPE_DEVICE', device: 'devices/gone0' } as const
    await session.allocatePasids({ exact: { pasids: [7] }, ...scope })
    const bind = { pasid: 7, devices: ['devices/gone0'], passThrough: {}, domain: 1 }
    await session.bindPasid(bind)
    await other.stop()
    const again = await startInProcess({ folder: other.folder })
    admin.close()
    admin = new OperatorClient({ socket: again.adminSocket })
    const devices = []
    for await (const rows of admin.devices()) devices.push(...rows)
    expect(devices).toContainEqual(
      expect.objectContaining({ name: 'devices/gone0', present: false, sessions: [session.name] }),
    )
    const found = await admin.getAllocation(7, { device: 'gone0' })
    expect(found.bindings).toMatchObject([{ state: 'BINDING_STATE_LOST' }])
    await expect(session.bindPasid(bind)).rejects.toMatchObject({ reason: 'DEVICE_NOT_FOUND' })
    // Its numbers are of its own scope, and stay so.
    await expect(admin.emulator.createDevice({ name: 'gone0' })).rejects.toMatchObject({
      reason: 'SCOPE_NOT_ALLOWED',
      metadata: { allowed: 'DEVICE' },
    })
    await admin.emulator.createDevice({ name: 'gone0', scope: 'SCOPE_DEVICE', pasidBits: 8 })
    await session.bindPasid(bind)
    const bound = await admin.getAllocation(7, { device: 'gone0' })
    expect(bound.bindings).toMatchObject([{ state: 'BINDING_STATE_BOUND' }])
    expect(await admin.check()).toMatchObject({ problemCount: 0 })
    await session.closeSession()
    admin.close()
    vmm.close()
  })

  test('a RID that is bound holds no numbers of either scope: the daemon starts again', async () => {
    const first = await startInProcess()
    const vmm = new PasidClient({ socket: first.vmmSocket })
    const session = await vmm.openSession()
    await session.attachDevice({ device: 'devices/emu1' })
    await session.bindPasid({ rid: true, devices: ['devices/emu1'], passThrough: {} })
    vmm.close()
    await first.stop()
    const again = await startInProcess({ folder: first.folder })
    expect(again.broker.state.bindings.size).toBe(1)
  })

  test('a device that is there is refused, and one that cannot be made leaves no trace', async () => {
    await lab.createDevice({ name: 'twice', sourceId: 0x900 })
    await expect(lab.createDevice({ name: 'twice' })).rejects.toMatchObject({
      reason: 'DEVICE_EXISTS',
      codeName: 'ALREADY_EXISTS',
    })
    const same = lab.createDevice({ name: 'thrice', sourceId: 0x900 })
    await expect(same).rejects.toMatchObject({ reason: 'BACKEND_REFUSED' })
    expect(rig.daemon.broker.state.deviceByName.has('thrice')).toBe(false)
    const both = ['race', 'race'].map((name) => lab.createDevice({ name }))
    const settled = await Promise.allSettled(both)
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })
})
