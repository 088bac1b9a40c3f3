/** What the doctor reads of a host: from files as a kernel has them, and from what is not there. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { pasidCapability } from '../../src/doctor/pci-config.js'
import { readHost } from '../../src/doctor/read-host.js'
import { CAP, configSpace, ECAP, HostTree, NODE_MODE } from '../support/doctor-tree.js'

const folders: string[] = []

function tree(): HostTree {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-doctor-'))
  folders.push(folder)
  return new HostTree(folder)
}

afterEach(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true })
})

/** Advanced Error Reporting, ATS and PASID of 20 bits with both permissions. */
const AER = 0x01
const ATS = 0x0f
const PASID = 0x1b
const WIDTH_20 = 0x1406

describe('the PASID capability', () => {
  test.each([
    ['first', [[PASID, WIDTH_20]]],
    [
      'behind others',
      [
        [AER, 0],
        [ATS, 0x20],
        [PASID, WIDTH_20],
      ],
    ],
  ] as const)('%s', (_, capabilities) => {
    expect(pasidCapability(configSpace(capabilities))).toEqual({ kind: 'PRESENT', bits: 20 })
  })
  test('at the very end of configuration space', () => {
    const config = configSpace([[AER, 0]])
    const view = new DataView(config.buffer)
    view.setUint32(0x100, AER | (0xff8 << 20), true)
    view.setUint32(0xff8, PASID, true)
    view.setUint32(0xffc, 0x0a00, true)
    expect(pasidCapability(config)).toEqual({ kind: 'PRESENT', bits: 10 })
  })
  test('one of width 0 is one', () => {
    expect(pasidCapability(configSpace([[PASID, 0]]))).toEqual({ kind: 'PRESENT', bits: 0 })
  })
  test.each([
    ['no extended capability', configSpace([])],
    [
      'others only',
      configSpace([
        [AER, 0],
        [ATS, 0],
      ]),
    ],
    ['conventional PCI', configSpace([[PASID, WIDTH_20]]).subarray(0, 256)],
    ['cut off within it', configSpace([[PASID, WIDTH_20]]).subarray(0, 0x104)],
  ])('absent: %s', (_, config) => {
    expect(pasidCapability(config)).toEqual({ kind: 'ABSENT' })
  })
  test('a chain that is a circle, or goes back into the conventional part, ends', () => {
    const circle = configSpace([[AER, 0]])
    new DataView(circle.buffer).setUint32(0x100, AER | (0x100 << 20), true)
    expect(pasidCapability(circle)).toEqual({ kind: 'ABSENT' })
    const back = configSpace([[AER, 0]])
    new DataView(back.buffer).setUint32(0x100, AER | (0x40 << 20), true)
    expect(pasidCapability(back)).toEqual({ kind: 'ABSENT' })
  })
  test.each([
    ['nothing', undefined, 'cannot be read'],
    ['an empty file', new Uint8Array(), 'cannot be read'],
    ['what everybody may read', configSpace([[PASID, WIDTH_20]]).subarray(0, 64), 'only root'],
    ['a function that is gone', new Uint8Array(4096).fill(0xff), 'does not answer'],
  ])('not to be told: %s', (_, config, why) => {
    const told = pasidCapability(config)
    expect(told).toEqual({ kind: 'UNREADABLE', why: expect.stringContaining(why) as string })
  })
})

/** A VF and its PF behind dmar1, a network card behind dmar0. */
function server(): HostTree {
  return tree()
    .file('proc/sys/kernel/osrelease', '6.17.3-amd64\n')
    .file('proc/cmdline', 'root=/dev/sda1 intel_iommu=on,sm_on\n')
    .kernelConfig(['CONFIG_IOMMUFD=m', '# CONFIG_VFIO_DEVICE_CDEV is not set'])
    .file('proc/self/status', 'Name:\tnode\nCapEff:\t0000000000004000\n')
    .file('proc/self/limits', 'Max locked memory         8388608   unlimited   bytes\n')
    .file('proc/meminfo', 'MemTotal:       16384 kB\nMemFree: 1 kB\n')
    .file('sys/module/vfio/parameters/enable_unsafe_noiommu_mode', 'N\n')
    .file('sys/module/idxd/parameters/sva', 'Y\n')
    .file('sys/firmware/acpi/tables/DMAR')
    .file('dev/iommu')
    .unit('dmar0', 0xf0_101an)
    .unit('dmar1', ECAP)
    .group('7', 'DMA-FQ', '0x00000000fee00000 0x00000000feefffff msi\n')
    .group('8', 'identity', '0x0 0xfff direct\n0x1000 0x1fff direct-relaxable\n')
    .function({
      ...{ address: '0000:3b:00.0', driver: 'idxd', iommu: 'dmar1', group: '7' },
      config: configSpace([[PASID, WIDTH_20]]),
    })
    .function({
      ...{ address: '0000:3b:00.1', driver: 'vfio-pci', iommu: 'dmar1', group: '7' },
      ...{ physfn: '0000:3b:00.0', vfio: 'vfio3', config: configSpace([]) },
    })
    .function({ address: '0000:01:00.0', driver: 'e1000e', iommu: 'dmar0', group: '8' })
}

describe('a host', () => {
  test('its kernel, IOMMUs and limits', () => {
    const facts = readHost({ root: server().root })
    expect(facts.kernel).toEqual({
      release: '6.17.3-amd64',
      version: { major: 6, minor: 17 },
      commandLine: 'root=/dev/sda1 intel_iommu=on,sm_on',
      config: new Map([
        ['CONFIG_IOMMUFD', 'm'],
        ['CONFIG_VFIO_DEVICE_CDEV', 'n'],
        ['CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON', 'n'],
      ]),
    })
    expect(facts.iommus).toEqual([
      { name: 'dmar0', kind: 'INTEL', cap: CAP, ecap: 0xf0_101an },
      { name: 'dmar1', kind: 'INTEL', cap: CAP, ecap: ECAP },
    ])
    expect(facts.groupTypes).toEqual(
      new Map([
        ['DMA-FQ', 1],
        ['identity', 1],
      ]),
    )
    expect(facts).toMatchObject({
      firmwareTables: ['DMAR'],
      memlock: 8_388_608,
      memlockExempt: true,
      memoryBytes: 16_777_216,
      options: [{ module: 'vfio', name: 'enable_unsafe_noiommu_mode', value: 'N' }],
      svaDrivers: ['idxd'],
    })
    expect(facts.iommufd).toMatchObject({ path: '/dev/iommu', problem: undefined })
  })
  test('without being told, the functions that VFIO has; a VF has the PASIDs of its PF', () => {
    const { functions } = readHost({ root: server().root })
    const pf = { address: '0000:3b:00.0', driver: 'idxd', isVfio: false }
    expect(functions).toEqual([
      {
        ...{ address: '0000:3b:00.1', driver: 'vfio-pci', isVfio: true, name: undefined },
        ...{ exists: true, iommu: 'dmar1', physicalFunction: '0000:3b:00.0' },
        group: { number: '7', type: 'DMA-FQ', others: [pf], directRegions: 0 },
        pasid: { kind: 'PRESENT', bits: 20 },
        cdev: {
          path: '/dev/vfio/devices/vfio3',
          problem: undefined,
          owner: { uid: process.getuid?.(), gid: process.getgid?.(), mode: NODE_MODE },
        },
      },
    ])
  })
  test('functions that are named, present or not', () => {
    const asked = [{ address: '0000:01:00.0', name: 'nic' }, { address: '0000:99:00.0' }]
    const { functions } = readHost({ root: server().root, functions: asked })
    expect(functions).toMatchObject([
      {
        ...{ name: 'nic', exists: true, driver: 'e1000e', cdev: undefined },
        // Regions that are `direct-relaxable` are in nobody's way.
        group: { number: '8', type: 'identity', others: [], directRegions: 1 },
        pasid: { kind: 'UNREADABLE' },
      },
      { address: '0000:99:00.0', exists: false, driver: undefined, group: undefined },
    ])
  })
  test('a device of VFIO without a number has no node; a node may be missing all the same', () => {
    const host = server()
    const device = path.join(host.root, 'sys/bus/pci/devices/0000:3b:00.1/vfio-dev/vfio3/dev')
    const node = path.join(host.root, 'dev/vfio/devices/vfio3')
    fs.rmSync(node)
    const cdev = () => readHost({ root: host.root }).functions[0]?.cdev
    expect(cdev()).toEqual({
      path: '/dev/vfio/devices/vfio3',
      problem: 'ENOENT',
      owner: undefined,
    })
    fs.mkdirSync(node)
    expect(cdev()).toMatchObject({ problem: 'EISDIR' })
    fs.rmSync(device)
    expect(cdev()).toBeUndefined()
  })
  test.each([
    ['dmar12', 'INTEL'],
    ['ivhd0', 'AMD'],
    ['smmu3.0x0000000009050000', 'ARM_SMMUV3'],
    ['smmu.0x0000000009050000', 'OTHER'],
    ['virtio4', 'VIRTIO'],
    ['iommufd_selftest_iommu.0', 'OTHER'],
  ])('an IOMMU that is called %s', (name, kind) => {
    const host = tree().file(`sys/class/iommu/${name}/uevent`)
    const unit = { name, kind, cap: undefined, ecap: undefined }
    expect(readHost({ root: host.root }).iommus).toEqual([unit])
  })
  test('of which nothing can be read, nothing is claimed', () => {
    const facts = readHost({ root: tree().root })
    expect(facts).toMatchObject({
      kernel: { release: '', version: undefined, commandLine: undefined, config: undefined },
      ...{ iommus: [], firmwareTables: [], options: [], svaDrivers: [], functions: [] },
      ...{ memlock: undefined, memlockExempt: false, memoryBytes: undefined },
      iommufd: { path: '/dev/iommu', problem: 'ENOENT', owner: undefined },
    })
    expect(facts.groupTypes.size).toBe(0)
  })
  test('no limit is one; a configuration that is cut short is none', () => {
    const host = tree()
      .file('proc/self/limits', 'Max locked memory         unlimited   unlimited   bytes\n')
      .file('proc/sys/kernel/osrelease', '6.17.3\n')
      .file('proc/config.gz', Uint8Array.of(0x1f, 0x8b, 8, 0))
    const { memlock, kernel } = readHost({ root: host.root })
    expect(memlock).toBe(Number.POSITIVE_INFINITY)
    expect(kernel.config).toBeUndefined()
    host.file('boot/config-6.17.3', 'CONFIG_IOMMUFD=y\n')
    expect(readHost({ root: host.root }).kernel.config?.get('CONFIG_IOMMUFD')).toBe('y')
  })
  test('this one, as it is', () => {
    const facts = readHost()
    expect(facts.kernel.release).toBe(os.release())
    expect(facts.memoryBytes).toBeGreaterThan(0)
    expect(facts.memlock).toBeGreaterThanOrEqual(0)
  })
})
