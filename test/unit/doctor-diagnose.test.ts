/**
 * What the doctor makes of a host: of one where all is well, and of each thing that may be amiss:
 * the verdict, what to do about it, and whether a daemon starts. docs/DOCTOR.md knows every check.
 */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { diagnose, startProblems } from '../../src/doctor/diagnose.js'
import { CHECKS, type CheckName, type Finding } from '../../src/doctor/finding.js'
import type { HostFacts, IommuUnit, Kernel, PciFunction } from '../../src/doctor/host-facts.js'
import { CAP, ECAP } from '../support/doctor-tree.js'

const VFIO: PciFunction = {
  ...{ address: '0000:3b:00.0', name: 'gpu0', driver: 'vfio-pci', isVfio: true, exists: true },
  ...{ iommu: 'dmar0', physicalFunction: undefined, pasid: { kind: 'PRESENT', bits: 20 } },
  group: { number: '7', type: 'DMA', others: [], directRegions: 0 },
  cdev: { path: '/dev/vfio/devices/vfio0', problem: undefined, owner: undefined },
}
const KERNEL: Kernel = {
  release: '6.17.3-amd64',
  version: { major: 6, minor: 17 },
  commandLine: 'intel_iommu=on,sm_on',
  config: new Map([['CONFIG_IOMMUFD', 'm']]),
}
const READY: HostFacts = {
  kernel: KERNEL,
  uid: 0,
  iommus: [{ name: 'dmar0', kind: 'INTEL', cap: CAP, ecap: ECAP }],
  groupTypes: new Map([['DMA', 9]]),
  firmwareTables: ['DMAR'],
  iommufd: { path: '/dev/iommu', problem: undefined, owner: undefined },
  memlock: Number.POSITIVE_INFINITY,
  memlockExempt: false,
  memoryBytes: 2 ** 34,
  options: [{ module: 'vfio', name: 'enable_unsafe_noiommu_mode', value: 'N' }],
  svaDrivers: ['idxd'],
  functions: [VFIO],
}
const RESERVED = { reservations: [{ first: 1, last: 255 }] }

const kernelOf = (more: Partial<Kernel>) => ({ kernel: { ...KERNEL, ...more } })
const version = (major: number, minor: number) =>
  kernelOf({ version: { major, minor }, release: `${major}.${minor}.0` })
const unit = (more: Partial<IommuUnit>): Partial<HostFacts> => ({
  iommus: [{ ...READY.iommus[0]!, ...more }],
})
const fn = (more: Partial<PciFunction>): Partial<HostFacts> => ({
  functions: [{ ...VFIO, ...more }],
})
const without = (bit: bigint) => unit({ ecap: ECAP & ~(1n << bit) })
const node = (path: string, problem: string) => ({
  ...{ path, problem },
  owner: { uid: 0, gid: 36, mode: 0o600 },
})

function findingsOf(facts: Partial<HostFacts>, check: CheckName): readonly Finding[] {
  return diagnose({ ...READY, ...facts }, RESERVED).filter((one) => one.check === check)
}

describe('a host that is ready', () => {
  test('has nothing that must be done; what cannot be seen is said', () => {
    const amiss = diagnose(READY, RESERVED).filter(({ verdict }) => verdict !== 'OK')
    expect(amiss.map(({ check, verdict }) => [check, verdict])).toEqual([
      ['read-only-regions', 'UNKNOWN'],
    ])
    expect(startProblems(READY, RESERVED)).toBeUndefined()
  })
  test('is told check by check, in their order', () => {
    const checks = diagnose(READY, RESERVED).map(({ check }) => check)
    // Only where there is no function at all.
    expect(checks).toEqual(CHECKS.filter((check) => check !== 'devices'))
  })
  test.each([
    [
      'by the default of the kernel',
      kernelOf({ commandLine: 'quiet', config: scalableDefault('y') }),
    ],
    ['by the last word', kernelOf({ commandLine: 'intel_iommu=sm_off intel_iommu=on,sm_on' })],
  ])('scalable mode is on %s', (_, facts) => {
    expect(findingsOf(facts, 'scalable-mode')).toMatchObject([{ verdict: 'OK' }])
  })
  test('the width is the lesser of the function and its IOMMU', () => {
    const narrow = unit({ ecap: (ECAP & ~(31n << 35n)) | (9n << 35n) })
    const [finding] = findingsOf(
      { ...fn({ physicalFunction: '0000:3b:00.7' }), ...narrow },
      'pasid-width',
    )
    expect(finding?.found).toBe(
      'width 10, of its PF 0000:3b:00.7, by the IOMMU; by itself 20: numbers below 1024',
    )
    expect(finding?.subject).toBe('gpu0 (0000:3b:00.0)')
  })
  test('bridges and functions without a driver may be in the group', () => {
    const others = [
      { address: '0000:3a:00.0', driver: 'pcieport', isVfio: false },
      { address: '0000:3b:00.1', driver: undefined, isVfio: false },
      { address: '0000:3b:00.2', driver: 'vfio-pci', isVfio: true },
    ]
    const [finding] = findingsOf(fn({ group: { ...VFIO.group!, others } }), 'group')
    expect(finding).toMatchObject({ verdict: 'OK' })
    expect(finding?.found).toContain('0000:3a:00.0, 0000:3b:00.1, 0000:3b:00.2')
  })
  test('only IOMMUs before the functions count; without functions all do', () => {
    const poor: IommuUnit = { name: 'dmar1', kind: 'INTEL', cap: CAP, ecap: 0n }
    const both = { iommus: [...READY.iommus, poor] }
    expect(findingsOf(both, 'nested-tables')).toMatchObject([{ verdict: 'OK' }])
    expect(findingsOf({ ...both, functions: [] }, 'nested-tables')).toMatchObject([
      { verdict: 'FAIL', found: 'dmar1: the IOMMU nests no tables (ECAP.NEST)' },
    ])
  })
  test('reservations may be in pieces, and in any order', () => {
    const pieces = [
      { first: 100, last: 300 },
      { first: 1, last: 99 },
    ]
    const all = diagnose(READY, { reservations: pieces })
    expect(all.find(({ check }) => check === 'reserved-window')).toMatchObject({ verdict: 'OK' })
  })
})

function scalableDefault(value: string): ReadonlyMap<string, string> {
  return new Map([['CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON', value]])
}

/** What is amiss, the check that sees it, its verdict, and a part of what is to be done. */
const STOPPING: readonly (readonly [string, Partial<HostFacts>, CheckName, string])[] = [
  ['no VFIO cdevs yet', version(6, 5), 'kernel', 'Linux 6.15'],
  ['no PASIDs yet', version(6, 14), 'kernel', 'Linux 6.15'],
  ['an older kernel', version(5, 19), 'kernel', 'Linux 6.15'],
  ['no IOMMU', { iommus: [], groupTypes: new Map(), firmwareTables: [] }, 'iommu', 'set-up'],
  ['an Intel IOMMU that is off', { iommus: [], groupTypes: new Map() }, 'iommu', 'intel_iommu=on'],
  ['an IOMMU without devices', { groupTypes: new Map() }, 'iommu', 'intel_iommu=on,sm_on'],
  [
    'an AMD IOMMU that is off',
    { iommus: [], groupTypes: new Map(), firmwareTables: ['IVRS'] },
    'iommu',
    'amd_iommu=off',
  ],
  ['no scalable mode', without(43n), 'scalable-mode', 'numbers only'],
  [
    'scalable mode switched off',
    kernelOf({ commandLine: 'intel_iommu=on,sm_on,sm_off' }),
    'scalable-mode',
    'intel_iommu=on,sm_on',
  ],
  [
    'scalable mode off by default',
    kernelOf({ commandLine: '', config: scalableDefault('n') }),
    'scalable-mode',
    'intel_iommu=on,sm_on',
  ],
  ['no nesting', without(26n), 'nested-tables', 'numbers only'],
  ['an AMD IOMMU', unit({ kind: 'AMD', ecap: undefined }), 'nested-tables', 'GCR3'],
  ['an SMMUv3', unit({ kind: 'ARM_SMMUV3', ecap: undefined }), 'nested-tables', 'CD table'],
  ['a guest', unit({ kind: 'VIRTIO', ecap: undefined }), 'nested-tables', 'another host'],
  ['an IOMMU not known', unit({ kind: 'OTHER', ecap: undefined }), 'nested-tables', 'Intel'],
  ['no PASIDs in the IOMMU', without(40n), 'iommu-pasids', 'numbers only'],
  ['no /dev/iommu', { iommufd: node('/dev/iommu', 'ENOENT') }, 'iommufd', 'modprobe iommufd'],
  [
    'a kernel without iommufd',
    {
      iommufd: node('/dev/iommu', 'ENODEV'),
      ...kernelOf({ config: new Map([['CONFIG_IOMMUFD', 'n']]) }),
    },
    'iommufd',
    'built without CONFIG_IOMMUFD',
  ],
  ['no such function', fn({ exists: false }), 'driver', 'lspci -D'],
  ['a function behind no IOMMU', fn({ group: undefined }), 'group', 'check iommu'],
  [
    'regions mapped one to one',
    fn({ group: { ...VFIO.group!, directRegions: 2 } }),
    'group',
    'cannot be given away',
  ],
  ['no nodes of VFIO', fn({ cdev: undefined }), 'cdev', 'CONFIG_VFIO_DEVICE_CDEV'],
]

describe('a daemon does not start, and says why', () => {
  test.each(STOPPING)('%s', (_, facts, check, remedy) => {
    const found = findingsOf(facts, check).filter(({ verdict }) => verdict === 'FAIL')
    expect(found).toMatchObject([{ verdict: 'FAIL', stopsStart: true }])
    expect(found[0]?.remedy).toContain(remedy)
    const said = startProblems({ ...READY, ...facts }, RESERVED)
    expect(said).toContain('is not ready for backend.kind = "native"')
    expect(said).toContain(found[0]?.found)
    expect(said).toContain(found[0]?.remedy)
  })
  test('about each device by name, and what can be done meanwhile', () => {
    const second = { ...VFIO, name: 'nic', address: '0000:01:00.0', exists: false }
    expect(startProblems({ ...READY, ...version(6, 8), functions: [VFIO, second] }, RESERVED)).toBe(
      `this host is not ready for backend.kind = "native":
  kernel: Linux 6.8.0 attaches no PASIDs (since 6.15)
    boot Linux 6.15 or later
  driver of nic (0000:01:00.0): there is no such PCI function
    compare with lspci -D, or ls /sys/bus/pci/devices
  possible: a VMM can attach the RID of its device (iommufd), and no PASID before Linux 6.15
    until then: with backend.kind = "emulator" the daemon gives out numbers, under quota, to VMMs that attach them by themselves, and binds on emulated devices`,
    )
  })
})

const OTHERS: readonly (readonly [
  string,
  Partial<HostFacts>,
  CheckName,
  Finding['verdict'],
  string,
])[] = [
  ['no version', kernelOf({ release: 'next', version: undefined }), 'kernel', 'UNKNOWN', '6.15'],
  [
    'a default that is not to be seen',
    kernelOf({ commandLine: undefined, config: undefined }),
    'scalable-mode',
    'UNKNOWN',
    'intel_iommu=on,sm_on',
  ],
  ['registers that are hidden', unit({ ecap: undefined }), 'nested-tables', 'UNKNOWN', 'kernel'],
  [
    'an iommufd of others',
    { uid: 990, iommufd: node('/dev/iommu', 'EACCES') },
    'iommufd',
    'WARN',
    'DeviceAllow=/dev/iommu rw',
  ],
  ['no function at all', { functions: [] }, 'devices', 'WARN', '--device'],
  [
    'another driver',
    fn({ driver: 'nvme', isVfio: false, cdev: undefined }),
    'driver',
    'FAIL',
    'echo 0000:3b:00.0 > /sys/bus/pci/devices/0000:3b:00.0/driver/unbind',
  ],
  [
    'no driver',
    fn({ driver: undefined, isVfio: false, cdev: undefined }),
    'driver',
    'FAIL',
    'driver_override && echo 0000:3b:00.0 > /sys/bus/pci/drivers_probe',
  ],
  ["a variant of VFIO's drivers", fn({ driver: 'mlx5_vfio_pci' }), 'driver', 'WARN', 'EOPNOTSUPP'],
  [
    'a companion in the group with a driver of its own',
    fn({
      group: {
        ...VFIO.group!,
        others: [{ address: '0000:3b:00.1', driver: 'snd_hda_intel', isVfio: false }],
      },
    }),
    'group',
    'FAIL',
    'bind those to vfio-pci',
  ],
  [
    'a cdev of others',
    fn({ cdev: node('/dev/vfio/devices/vfio0', 'EPERM') }),
    'cdev',
    'WARN',
    'DeviceAllow=char-vfio-dev rw',
  ],
  [
    'a cdev that is gone',
    fn({ cdev: node('/dev/vfio/devices/vfio0', 'ENOENT') }),
    'cdev',
    'FAIL',
    'udev',
  ],
  ['no PASID capability', fn({ pasid: { kind: 'ABSENT' } }), 'pasid-width', 'WARN', 'RID'],
  ['width 0', fn({ pasid: { kind: 'PRESENT', bits: 0 } }), 'pasid-width', 'WARN', 'RID'],
  [
    'a width that is hidden',
    fn({ pasid: { kind: 'UNREADABLE', why: 'only root' } }),
    'pasid-width',
    'UNKNOWN',
    'as root',
  ],
  ['8 MiB of locked memory', { memlock: 2 ** 23 }, 'memlock', 'WARN', 'LimitMEMLOCK=infinity'],
  ['a limit that is hidden', { memlock: undefined }, 'memlock', 'UNKNOWN', 'LimitMEMLOCK'],
  [
    'devices without an IOMMU',
    { options: [{ module: 'vfio', name: 'enable_unsafe_noiommu_mode', value: 'Y' }] },
    'module-options',
    'WARN',
    '/etc/modprobe.d',
  ],
  [
    'interrupts that are not isolated',
    { options: [{ module: 'iommufd', name: 'allow_unsafe_interrupts', value: 'Y' }] },
    'module-options',
    'WARN',
    '/etc/modprobe.d',
  ],
]

describe('a daemon starts all the same', () => {
  test.each(OTHERS)('%s', (_, facts, check, verdict, remedy) => {
    const [finding, ...more] = findingsOf(facts, check)
    expect(more).toEqual([])
    expect(finding).toMatchObject({ verdict, stopsStart: false })
    expect(finding?.remedy).toContain(remedy)
    expect(startProblems({ ...READY, ...facts }, RESERVED)).toBeUndefined()
  })
  test.each([
    ['a limit as large as the memory', { memlock: 2 ** 34 }],
    ['a limit that does not count', { memlock: 2 ** 23, memlockExempt: true }],
  ])('%s is enough', (_, facts) => {
    expect(findingsOf(facts, 'memlock')).toMatchObject([{ verdict: 'OK' }])
  })
  test('whose node it is, and for whom it does not open', () => {
    const facts = { uid: 990, iommufd: node('/dev/iommu', 'EACCES') }
    expect(findingsOf(facts, 'iommufd')[0]?.found).toBe(
      '/dev/iommu does not open for uid 990: EACCES (of uid 0, gid 36, mode 0600)',
    )
  })
})

describe('the reserved window', () => {
  const verdictOf = (
    reservations: readonly { first: number; last: number }[] | undefined,
    svaDrivers: readonly string[] = ['idxd'],
  ) => {
    const all = diagnose({ ...READY, svaDrivers }, { reservations })
    return all.find(({ check }) => check === 'reserved-window')
  }
  test.each([
    ['none', []],
    [
      'a gap',
      [
        { first: 1, last: 100 },
        { first: 102, last: 255 },
      ],
    ],
    ['not from 1', [{ first: 2, last: 255 }]],
    ['not to the end', [{ first: 1, last: 254 }]],
  ])('%s, with a driver that uses the kernel’s own PASIDs', (_, reservations) => {
    const finding = verdictOf(reservations)
    expect(finding).toMatchObject({ verdict: 'WARN', stopsStart: false })
    expect(finding?.remedy).toContain('{ first = 1, last = 255, reason = "kernel" }')
    expect(verdictOf(reservations, [])).toMatchObject({ verdict: 'OK' })
  })
  test('is not known without a daemon', () => {
    expect(verdictOf(undefined)).toMatchObject({ verdict: 'UNKNOWN' })
  })
})

describe('what a host can do all the same', () => {
  test.each([
    ['ready', {}, 'OK', 'on PASIDs and on the RID', ''],
    ['no iommufd', { iommufd: node('/dev/iommu', 'ENOENT') }, 'WARN', 'no device', 'emulator'],
    ['no PASIDs on iommufd', version(6, 8), 'WARN', 'the RID', 'emulator'],
    ['no nesting', without(26n), 'WARN', 'without guest tables', 'numbers only'],
    ['a function that is not ready', fn({ exists: false }), 'WARN', 'once the devices', 'do what'],
  ])('%s', (_, facts, verdict, found, remedy) => {
    const [finding] = findingsOf(facts, 'possible')
    expect(finding?.verdict).toBe(verdict)
    expect(finding?.found).toContain(found)
    expect(finding?.remedy).toContain(remedy)
  })
  test.each([
    [version(6, 17), ['BIND_IOMMUFD', 'is gone']],
    [version(6, 12), ['BIND_IOMMUFD']],
    [version(6, 5), []],
  ])('the calls of 2020, %#', (facts, parts) => {
    const [finding] = findingsOf(facts, 'calls-of-2020')
    const all = ['BIND_IOMMUFD', 'is gone']
    expect(all.filter((part) => finding?.found.includes(part))).toEqual(parts)
    expect(finding?.remedy).toContain('VfioUapi')
  })
})

describe('docs/DOCTOR.md', () => {
  const text = fs.readFileSync(path.resolve(import.meta.dirname, '../../docs/DOCTOR.md'), 'utf8')
  test('has a row for each check, and no other, in the order told', () => {
    const rows = [...text.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, name]) => name)
    expect(rows).toEqual(CHECKS)
  })
})
