/**
 * What is known of a device of this host before anybody has handed it over, and once the kernel has
 * said it better; and which descriptor is its own.
 */

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createHostDevice } from '../../src/backend/vfio/host-device.js'
import type { HwInfo } from '../../src/backend/vfio/ports.js'
import { VTD_CODEC } from '../../src/backend/vfio/vtd-codec.js'
import { OwnedFd } from '../../src/linux/owned-fd.js'
import { HW_INFO_VTD } from '../../src/uapi/iommufd-data.js'
import { encode } from '../../src/uapi/structure.js'

const ADDRESS = '0000:00:03.0'
const FL5LP = 1n << 60n
/** NEST, PRS, SRS, EAFS, PASID, SMTS, and PSS 9: 10 bits. */
const ECAP = [26n, 29n, 31n, 34n, 40n, 43n].reduce((all, bit) => all | (1n << bit), 9n << 35n)

let root = ''
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'vfio-host-'))
})
afterEach(() => fs.rmSync(root, { recursive: true, force: true }))

interface Made {
  readonly cap?: bigint
  readonly ecap?: bigint
  /** Extended capabilities by id: what follows the header, as 32 bits. */
  readonly capabilities?: Readonly<Record<number, number>>
  readonly config?: number
  readonly rdev?: string
  readonly iommu?: string
  readonly virtual?: boolean
}

function make(made: Made = {}): void {
  const folder = path.join(root, 'sys/bus/pci/devices', ADDRESS)
  const unit = path.join(root, 'sys/class/iommu', made.iommu ?? 'dmar0')
  fs.mkdirSync(folder, { recursive: true })
  fs.mkdirSync(unit, { recursive: true })
  fs.symlinkSync(unit, path.join(folder, 'iommu'))
  if (made.cap !== undefined) {
    fs.mkdirSync(path.join(unit, 'intel-iommu'))
    fs.writeFileSync(path.join(unit, 'intel-iommu/cap'), `${made.cap.toString(16)}\n`)
    fs.writeFileSync(path.join(unit, 'intel-iommu/ecap'), `${(made.ecap ?? 0n).toString(16)}\n`)
  }
  const group = path.join(root, 'sys/kernel/iommu_groups/12')
  fs.mkdirSync(group, { recursive: true })
  fs.symlinkSync(group, path.join(folder, 'iommu_group'))
  if (made.rdev !== undefined) {
    fs.mkdirSync(path.join(folder, 'vfio-dev/vfio7'), { recursive: true })
    fs.writeFileSync(path.join(folder, 'vfio-dev/vfio7/dev'), `${made.rdev}\n`)
  }
  const config = configOf(made.capabilities ?? {}).subarray(0, made.config ?? 4096)
  if (made.virtual === true) {
    const physical = path.join(root, 'sys/bus/pci/devices/0000:00:02.0')
    fs.mkdirSync(physical)
    fs.writeFileSync(path.join(physical, 'config'), config)
    fs.symlinkSync(physical, path.join(folder, 'physfn'))
  } else fs.writeFileSync(path.join(folder, 'config'), config)
}

function configOf(capabilities: Readonly<Record<number, number>>): Buffer {
  const config = Buffer.alloc(4096)
  let at = 0x100
  const all = Object.entries(capabilities)
  for (const [i, [id, value]] of all.entries()) {
    const next = i === all.length - 1 ? 0 : at + 16
    config.writeUInt32LE((Number(id) | (1 << 16) | (next << 20)) >>> 0, at)
    config.writeUInt32LE(value, at + 4)
    at = next
  }
  return config
}

const PASID = 0x1b
const ATS = 0x0f
const PRI = 0x13
const width = (bits: number): number => bits << 8

function facts(made: Made) {
  make(made)
  return createHostDevice({ name: 'gpu0', address: ADDRESS, root }).facts()
}

describe('from outside', () => {
  test('is said by the IOMMU and configuration space', () => {
    const capabilities = { [ATS]: 0, [PRI]: 0, [PASID]: width(20) }
    expect(facts({ cap: FL5LP, ecap: ECAP, capabilities })).toEqual({
      name: 'gpu0',
      pasidBits: 10,
      translation: 'NONE',
      shared: false,
      platform: 'INTEL_VTD',
      addressWidths: [48, 57],
      supervisorRequests: true,
      extendedAccessed: true,
      passThrough: true,
      hitlessReplace: false,
      pageRequests: true,
      group: '12',
      registers: { platform: 'INTEL_VTD', cap: FL5LP, ecap: ECAP },
      ats: true,
    })
  })

  test.each<[string, Made, object]>([
    ['no PASID capability', { cap: 0n, ecap: ECAP, capabilities: { [ATS]: 0 } }, { pasidBits: 0 }],
    [
      'a narrow one',
      { cap: 0n, ecap: ECAP, capabilities: { [PASID]: width(5) } },
      { pasidBits: 5, addressWidths: [48], pageRequests: false, ats: false },
    ],
    [
      'configuration space that only root may read',
      { cap: 0n, ecap: ECAP, capabilities: { [PASID]: width(5), [PRI]: 0 }, config: 64 },
      { pasidBits: 10, pageRequests: false },
    ],
    [
      'no scalable mode',
      { cap: 0n, ecap: ECAP & ~(1n << 43n), capabilities: { [PASID]: width(20) } },
      { pasidBits: 0, addressWidths: [] },
    ],
    [
      'no nesting',
      { cap: 0n, ecap: ECAP & ~(1n << 26n), capabilities: { [PASID]: width(20) } },
      { pasidBits: 10, addressWidths: [] },
    ],
    [
      "a VF: its PF's PASIDs, and page requests that are not its own",
      { cap: 0n, ecap: ECAP, capabilities: { [PASID]: width(8), [PRI]: 0 }, virtual: true },
      { pasidBits: 8, pageRequests: false },
    ],
    [
      'an IOMMU that is none of those known',
      { iommu: 'virtio-iommu0', capabilities: { [PASID]: width(16) } },
      { pasidBits: 16, addressWidths: [], passThrough: false, registers: undefined },
    ],
    [
      'an SMMU',
      { iommu: 'smmu3.0x0000000009050000', capabilities: {} },
      { platform: 'ARM_SMMUV3', addressWidths: [], passThrough: true },
    ],
  ])('%s', (_what, made, expected) => {
    expect(facts(made)).toMatchObject(expected)
  })

  test('a chain of capabilities that goes in a circle has an end', () => {
    const capabilities = { [ATS]: 0, [PRI]: 0 }
    make({ cap: 0n, ecap: ECAP, capabilities })
    const file = path.join(root, 'sys/bus/pci/devices', ADDRESS, 'config')
    const config = fs.readFileSync(file)
    config.writeUInt32LE((PRI | (1 << 16) | (0x100 << 20)) >>> 0, 0x110)
    fs.writeFileSync(file, config)
    const { pasidBits } = createHostDevice({ name: 'gpu0', address: ADDRESS, root }).facts()
    expect(pasidBits).toBe(0)
  })

  test('without the function, or any of it, nothing is known and nothing fails', () => {
    const device = createHostDevice({ name: 'gpu0', address: ADDRESS, root })
    expect(device.facts()).toMatchObject({ pasidBits: 20, addressWidths: [], passThrough: false })
    expect(device.open()).toBeUndefined()
  })
})

describe('by IOMMU_GET_HW_INFO', () => {
  const info = (more: Partial<HwInfo>): HwInfo => ({
    dataType: 1,
    data: encode(HW_INFO_VTD, { capReg: FL5LP, ecapReg: ECAP }),
    maxPasidLog2: 7,
    capabilities: 0n,
    ...more,
  })

  test('is said better', () => {
    make({ cap: 0n, ecap: 0n, capabilities: { [PASID]: width(20), [ATS]: 0 } })
    const device = createHostDevice({ name: 'gpu0', address: ADDRESS, root })
    expect(device.factsOf(info({ capabilities: 8n }))).toMatchObject({
      pasidBits: 7,
      addressWidths: [48, 57],
      supervisorRequests: true,
      ats: false,
      executeRequests: false,
      privilegedRequests: false,
    })
    for (const [capabilities, executeRequests, privilegedRequests] of [
      [2n, true, false],
      [4n, false, true],
    ] as const) {
      const expected = { executeRequests, privilegedRequests }
      expect(device.factsOf(info({ capabilities }))).toMatchObject(expected)
    }
    expect(device.codec(info({}))).toBe(VTD_CODEC)
    for (const [dataType, platform] of [
      [2, 'ARM_SMMUV3'],
      [4, 'AMD'],
    ] as const) {
      expect(device.factsOf(info({ dataType }))).toMatchObject({ platform })
      expect(device.codec(info({ dataType }))).toBeUndefined()
    }
    // An answer that is too short says nothing.
    expect(device.factsOf(info({ data: new Uint8Array(8) })).addressWidths).toEqual([])
  })
})

describe('configuration space', () => {
  // Who reads it while a VMM resets the device waits for the kernel, and everybody with it.
  test.each([false, true])('is not read once it is known (a VF: %s)', (virtual) => {
    make({ cap: 0n, ecap: ECAP, capabilities: { [PASID]: width(9), [PRI]: 0, [ATS]: 0 }, virtual })
    const device = createHostDevice({ name: 'gpu0', address: ADDRESS, root })
    const info = { dataType: 1, data: new Uint8Array(), maxPasidLog2: 9, capabilities: 0n }
    const before = [device.facts(), device.factsOf(info)]
    expect(before).toMatchObject([{ pasidBits: 9 }, { pageRequests: !virtual }])
    const folder = path.join(root, 'sys/bus/pci/devices', ADDRESS)
    for (const name of ['config', 'physfn/config', 'physfn']) {
      const file = path.join(folder, name)
      if (fs.existsSync(file)) fs.rmSync(file)
    }
    expect([device.facts(), device.factsOf(info)]).toEqual(before)
  })
})

test('it is gone when it was there, and it and all of its group are not any more', () => {
  const create = () => createHostDevice({ name: 'gpu0', address: ADDRESS, root })
  // It may have been somewhere else all along.
  const never = create()
  expect(never.isGone).toBe(false)
  make({ rdev: '1:3' })
  const device = create()
  expect([device.isGone, never.isGone]).toEqual([false, false])
  const folder = path.join(root, 'sys/bus/pci/devices', ADDRESS)
  // While a removal waits for who has it open, only its VFIO device is away.
  fs.rmSync(path.join(folder, 'vfio-dev'), { recursive: true })
  expect(device.isGone).toBe(false)
  const neighbour = path.join(root, 'sys/kernel/iommu_groups/12/devices/0000:00:03.1')
  fs.mkdirSync(neighbour, { recursive: true })
  fs.rmSync(folder, { recursive: true })
  expect(device.isGone).toBe(false)
  fs.rmdirSync(neighbour)
  expect([device.isGone, never.isGone]).toEqual([true, false])
  fs.rmSync(path.join(root, 'sys/kernel/iommu_groups/12'), { recursive: true })
  expect(device.isGone).toBe(true)
  // It cannot be seen.
  fs.rmSync(path.join(root, 'sys/bus'), { recursive: true })
  expect(device.isGone).toBe(false)
})

describe('its descriptor', () => {
  const NULL = '1:3'
  function problemWith(file: string, made: Made = { rdev: NULL }) {
    make(made)
    const fd = new OwnedFd(fs.openSync(file, 'r'), 'a descriptor')
    try {
      return createHostDevice({ name: 'gpu0', address: ADDRESS, root }).problemWith(fd)
    } finally {
      fd.close()
    }
  }

  /** Of this process, those of devices that nothing else here opens. */
  function openFiles(): readonly string[] {
    const files = fs.readdirSync('/proc/self/fd').flatMap((number) => {
      try {
        return [fs.readlinkSync(`/proc/self/fd/${number}`)]
      } catch {
        // That of the list itself.
        return []
      }
    })
    return files.filter((file) => file === '/dev/full' || file === '/dev/zero').sort()
  }

  test('is the character device that sysfs names', () => {
    expect(problemWith('/dev/null')).toBeUndefined()
  })

  test.each([
    ['another device', '/dev/zero', { rdev: NULL }, /character device 1:5, and .* is 1:3/],
    ['a file', '/proc/self/status', { rdev: NULL }, /no character device/],
    ['a folder', '/', { rdev: NULL }, /no character device/],
    ['a device of a function without a VFIO driver', '/dev/null', {}, /no driver/],
  ])('is not that of: %s', (_what, file, made, problem) => {
    expect(problemWith(file, made)).toMatchObject({
      problem: expect.stringMatching(problem),
      remedy: expect.stringMatching(/vfio/),
    })
  })

  test('is none where there is no such function', () => {
    const fd = new OwnedFd(fs.openSync('/dev/null', 'r'), 'a descriptor')
    const device = createHostDevice({ name: 'gpu0', address: ADDRESS, root })
    expect(device.problemWith(fd)?.problem).toMatch(/no PCI function 0000:00:03.0/)
    fd.close()
  })

  test('is opened anew with an iommufd, or neither is', () => {
    make({ rdev: NULL })
    const device = createHostDevice({ name: 'gpu0', address: ADDRESS, root })
    const [iommu, cdev] = ['dev/iommu', 'dev/vfio/devices/vfio7'].map((name) =>
      path.join(root, name),
    )
    fs.mkdirSync(path.join(root, 'dev/vfio/devices'), { recursive: true })
    fs.symlinkSync('/dev/full', iommu ?? '')
    expect(device.open()).toBeUndefined()
    // Of another kind.
    fs.writeFileSync(cdev ?? '', '')
    expect(device.open()).toBeUndefined()
    expect(openFiles()).toEqual([])
    fs.rmSync(cdev ?? '')
    fs.symlinkSync('/dev/zero', cdev ?? '')
    const opened = device.open()
    expect(openFiles()).toEqual(['/dev/full', '/dev/zero'])
    opened?.iommufd.close()
    opened?.cdev.close()
  })
})
