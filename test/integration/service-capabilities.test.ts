/**
 * What devices can do, as a VMM sees it: GET_HW_INFO's bytes of each platform, what a session's
 * devices can do together, and what devices say that nest nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stopAll } from '../support/daemon.js'
import { ServiceRig, type TestSession } from '../support/service-rig.js'

const TOML = `
[[backend.device]]
name = "wide"
source_id = 0x300
[[backend.device]]
name = "narrow"
pasid_bits = 9
address_widths = [48]
ats = false
[[backend.device]]
name = "arm"
platform = "ARM_SMMUV3"
[[backend.device]]
name = "amd"
platform = "AMD"
[[backend.device]]
name = "left"
group = "pair"
[[backend.device]]
name = "right"
group = "pair"
`

interface HwInfo {
  readonly dataType: number
  readonly data: Buffer
  readonly maxPasidLog2: number
  readonly capabilities: string
}

interface Capabilities {
  readonly hwInfo: HwInfo | null
  readonly nestingInfo: Buffer
  readonly addressWidths: readonly number[]
}

let rig: ServiceRig

beforeAll(async () => {
  rig = await ServiceRig.start({ toml: TOML })
})
afterAll(async () => {
  rig.close()
  await stopAll()
})

async function attach(session: TestSession, device: string) {
  const message = { session: session.name, device: `devices/${device}` }
  const answer = await rig.vmm.must('PasidBroker/AttachDevice', message, session.token)
  return answer['device'] as { readonly hwInfo: HwInfo; readonly group: string }
}

async function capabilitiesOf(devices: readonly string[]): Promise<Capabilities | null> {
  const session = await rig.openSession([...devices])
  const name = { name: session.name }
  const view = await rig.vmm.must('PasidBroker/GetSession', name, session.token)
  await rig.vmm.must('PasidBroker/CloseSession', name, session.token)
  return view['capabilities'] as Capabilities | null
}

describe('a device', () => {
  test('tells its IOMMU’s registers, its group and how many PASIDs', async () => {
    const session = await rig.openSession([])
    const wide = await attach(session, 'wide')
    expect(wide.group).toBe('')
    expect(wide.hwInfo).toMatchObject({ dataType: 1, maxPasidLog2: 20 })
    expect(wide.hwInfo.data).toHaveLength(24)
    const [flags, cap, ecap] = [0, 8, 16].map((at) => wide.hwInfo.data.readBigUInt64LE(at))
    // FL5LP; NEST, PASID, SMTS, FLTS.
    expect(flags).toBe(0n)
    expect(((cap ?? 0n) >> 60n) & 1n).toBe(1n)
    for (const bit of [26n, 40n, 43n, 47n]) expect(((ecap ?? 0n) >> bit) & 1n, `${bit}`).toBe(1n)
    const narrow = await attach(session, 'narrow')
    expect(narrow.hwInfo).toMatchObject({ dataType: 1, maxPasidLog2: 9 })
    expect(Number(narrow.hwInfo.capabilities) & 8).toBe(8)
    expect((await attach(session, 'arm')).hwInfo).toMatchObject({ dataType: 2, maxPasidLog2: 20 })
    expect((await attach(session, 'amd')).hwInfo).toMatchObject({ dataType: 4, maxPasidLog2: 15 })
    expect((await attach(session, 'left')).group).toBe('pair')
    const name = { name: session.name }
    await rig.vmm.must('PasidBroker/CloseSession', name, session.token)
  })

  test.each([
    ['arm', 'CD table', 'IOMMU_HWPT_DATA_ARM_SMMUV3'],
    ['amd', 'GCR3 table', 'IOMMU_HWPT_DATA_AMD_GUEST'],
  ])('%s nests nothing per PASID, and says what to do instead', async (device, table, way) => {
    const session = await rig.openSession([device])
    const named = { session: session.name }
    const allocated = await rig.vmm.must(
      'PasidBroker/AllocatePasids',
      { ...named, one: {} },
      session.token,
    )
    const [range] = allocated['ranges'] as readonly { readonly first: number }[]
    const firstStage = { address: 4096, addressWidth: 48 }
    for (const at of [{ pasid: range?.first }, { rid: true }]) {
      const bind = { ...named, ...at, devices: [`devices/${device}`], firstStage }
      const reply = await rig.vmm.call('PasidBroker/BindPasid', bind, session.token)
      expect(reply).toMatchObject({ ok: false, refusal: { reason: 'TABLE_UNSUPPORTED' } })
      if (reply.ok) continue
      expect(reply.refusal.message).toContain(table)
      expect(reply.refusal.metadata['supported']).toContain(way)
    }
    const name = { name: session.name }
    await rig.vmm.must('PasidBroker/CloseSession', name, session.token)
  })
})

describe('a session', () => {
  test('without devices tells nothing', async () => {
    expect(await capabilitiesOf([])).toBeNull()
  })
  test('tells the least of its devices', async () => {
    const wide = await capabilitiesOf(['wide'])
    const both = await capabilitiesOf(['wide', 'narrow'])
    expect(wide).toMatchObject({ addressWidths: [48, 57], hwInfo: { maxPasidLog2: 20 } })
    expect(both).toMatchObject({ addressWidths: [48], hwInfo: { maxPasidLog2: 9 } })
    // struct iommu_nesting_info: argsz, format, features, addr_width, pasid_bits; then the registers.
    const info = both?.nestingInfo ?? Buffer.alloc(0)
    expect([0, 8, 12].map((at) => info.readUInt32LE(at))).toEqual([48, 1, 7])
    expect([16, 18].map((at) => info.readUInt16LE(at))).toEqual([48, 9])
    expect(info.subarray(32)).toEqual(both?.hwInfo?.data.subarray(8))
    // FL5LP is only one device's.
    expect((info.readBigUInt64LE(32) >> 60n) & 1n).toBe(0n)
    expect(((wide?.nestingInfo.readBigUInt64LE(32) ?? 0n) >> 60n) & 1n).toBe(1n)
  })
  test('with another platform nests nothing, and has no registers in common', async () => {
    for (const devices of [
      ['wide', 'arm'],
      ['amd', 'arm'],
    ]) {
      const mixed = await capabilitiesOf(devices)
      expect(mixed).toMatchObject({ hwInfo: null, addressWidths: [] })
      expect(mixed?.nestingInfo).toHaveLength(0)
    }
    const arm = await capabilitiesOf(['arm'])
    expect(arm).toMatchObject({ addressWidths: [], hwInfo: { dataType: 2 } })
    expect(arm?.nestingInfo).toHaveLength(0)
  })
})
