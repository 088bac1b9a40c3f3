/** The native backend in the configuration: its devices, its keys, and what is refused with why. */
import { describe, expect, test } from 'vitest'
import type { NativeConfig } from '../../src/daemon/config/config.js'
import { dumpConfig } from '../../src/daemon/config/dump.js'
import { configOf, problemsOf } from '../support/config-reading.js'

const NATIVE = '[backend]\nkind = "native"'
const DEVICE = '[[backend.device]]\nname = "gpu0"\naddress = "0000:00:03.0"'

function nativeOf(text: string): NativeConfig {
  const { backend } = configOf(text)
  if (backend.kind !== 'native') throw new Error(`the backend is ${backend.kind}`)
  return backend
}

describe('a native backend', () => {
  test('has devices by address, a deadline and a number of threads', () => {
    expect(nativeOf(`${NATIVE}\n${DEVICE}`)).toEqual({
      kind: 'native',
      devices: [{ name: 'gpu0', address: '0000:00:03.0' }],
      callDeadlineMs: 5000,
      threadsPerSession: 16,
    })
  })
  test('written out, it reads back to the same', () => {
    const text = `${NATIVE}\ncall_deadline = "250ms"\nthreads_per_session = 3\n${DEVICE}
      scope = "DEVICE"
      [[backend.device]]
      name = "nic0"
      address = "10000:e1:1f.7"`
    const config = configOf(text)
    expect(configOf(dumpConfig(config))).toEqual(config)
    expect([...config.scopes]).toEqual([
      ['gpu0', 'DEVICE'],
      ['nic0', 'HOST'],
    ])
  })
  test.each([
    ['"0000:00:03.0"', '0000:00:03.0'],
    ['"0000:AF:1F.7"', '0000:af:1f.7'],
    ['"10000:e1:00.0"', '10000:e1:00.0'],
  ])('may have a device at %s', (written, address) => {
    const text = `${NATIVE}\n[[backend.device]]\nname = "d"\naddress = ${written}`
    expect(nativeOf(text).devices).toEqual([{ name: 'd', address }])
  })
  test.each([
    '"00:03.0"',
    '"0000:00:20.0"',
    '"0000:00:03.8"',
    '"0000:00:03"',
    '"000:00:03.0"',
    '"/sys/bus/pci/devices/0000:00:03.0"',
    '""',
    '3',
  ])('has none at %s', (written) => {
    const text = `${NATIVE}\n[[backend.device]]\nname = "d"\naddress = ${written}`
    expect(problemsOf(text)).toEqual([
      `f.toml:5: backend.device[0].address: is ${written}, must be a PCI address in full; ` +
        'write it as in /sys/bus/pci/devices, such as "0000:00:03.0"',
    ])
  })
})

describe('one wrong value', () => {
  test.each([
    [NATIVE, /kind: is "native", but no device is named; add a \[\[backend\.device\]\]/],
    [`${NATIVE}\ndevice = []`, /backend\.device: is an empty list; name a device$/],
    [
      `${NATIVE}\n[[backend.device]]\nname = "d"`,
      /device\[0\]\.address: is missing, must be a PCI/,
    ],
    [
      `${NATIVE}\n${DEVICE}\n[[backend.device]]\nname = "d"\naddress = "0000:00:03.0"`,
      /device\[1\]\.address: is "0000:00:03\.0", which "gpu0" has already; choose another/,
    ],
    [
      `${NATIVE}\n${DEVICE}\n[[backend.device]]\nname = "gpu0"\naddress = "0000:00:04.0"`,
      /device\[1\]\.name: is "gpu0", which backend\.device\[0\] has already/,
    ],
    [
      `${NATIVE}\n${DEVICE}\nadress = "x"`,
      /device\[0\]\.adress: is no key here; did you mean address\?/,
    ],
    [
      DEVICE,
      /device\[0\]\.address: is no key here; it is a key of native devices, with \[backend\]/,
    ],
    [
      '[backend]\ncall_deadline = "1s"',
      /backend\.call_deadline: is about system calls, and the emulator makes none; leave it out/,
    ],
    [
      '[backend]\nkind = "emulator"\nthreads_per_session = 1',
      /backend\.threads_per_session: is about system calls/,
    ],
    [
      `${NATIVE}\nthreads_per_session = 0\n${DEVICE}`,
      /threads_per_session: is 0, must be a whole number from 1 to 64/,
    ],
    [
      `${NATIVE}\nthreads_per_session = 65\n${DEVICE}`,
      /threads_per_session: is 65, must be a whole number from 1 to 64/,
    ],
    [
      `${NATIVE}\ncall_deadline = "99ms"\n${DEVICE}`,
      /call_deadline: is "99ms", must be a time from 100ms to 1m/,
    ],
    [
      `${NATIVE}\ncall_deadline = "60001ms"\n${DEVICE}`,
      /call_deadline: is "60001ms", must be a time from 100ms to 1m/,
    ],
    [
      `[backend]\nkind = "natve"\n${DEVICE}`,
      /kind: is "natve", must be one of "emulator", "native"; did you mean native\?/,
    ],
  ])('%j', (text, message) => {
    const problems = problemsOf(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(message)
  })
})

test.each([
  ['call_deadline', '"100ms"', 'callDeadlineMs', 100],
  ['call_deadline', '"60s"', 'callDeadlineMs', 60_000],
  ['threads_per_session', '1', 'threadsPerSession', 1],
  ['threads_per_session', '64', 'threadsPerSession', 64],
] as const)('%s may be %s', (key, written, name, value) => {
  expect(nativeOf(`${NATIVE}\n${key} = ${written}\n${DEVICE}`)[name]).toBe(value)
})

test.each([
  ['pasid_bits = 20', 'of a native device the hardware and the kernel say it; leave it out'],
  ['address_widths = [48]', 'of a native device the hardware and the kernel say it; leave it out'],
  ['page_requests = true', 'of a native device the hardware and the kernel say it; leave it out'],
  ['group = "g"', 'of a native device the hardware and the kernel say it; leave it out'],
  ['platform = "AMD"', 'of a native device the hardware and the kernel say it; leave it out'],
  ['source_id = 24', 'the address says it; leave it out'],
  [
    'translation = "NONE"',
    'nothing translates the numbers of a function behind vfio-pci; leave it out',
  ],
  [
    'shared = true',
    'a function behind vfio-pci is in the hands of one session at a time; leave it out',
  ],
])('what the hardware says is not configured: %s', (line, why) => {
  const [key] = line.split(' ')
  expect(problemsOf(`${NATIVE}\n${DEVICE}\n${line}`)).toEqual([
    `f.toml:6: backend.device[0].${key}: is no key here; ${why}`,
  ])
})

test.each(['vfio-2020', 'vfio-type1'])('the ioctls of 2020 have no backend: %s', (kind) => {
  expect(problemsOf(`[backend]\nkind = "${kind}"\n${DEVICE}`)).toEqual([
    `f.toml:2: backend.kind: is "${kind}", which no kernel has: the ioctls of 2020 were never ` +
      'merged, and their numbers mean other things today (0x3b76, VFIO_IOMMU_PASID_REQUEST then, ' +
      'is VFIO_DEVICE_BIND_IOMMUFD); set kind = "native" for iommufd; programs written for them ' +
      'can call VfioUapi, with kind = "emulator"',
  ])
})

describe('the scope of a device', () => {
  const tenant = (scope: string) =>
    `[[tenant]]\nname = "a"\nsocket = "/srv/a/s"\ndevices = [{ name = "gpu0"${scope} }]`

  test('is its own, for a tenant that does not say it', () => {
    const config = configOf(`${NATIVE}\n${DEVICE}\nscope = "DEVICE"\n${tenant('')}`)
    expect(config.scopes.get('gpu0')).toBe('DEVICE')
    expect(config.policy.tenants.at(-1)?.devices?.get('gpu0')).toBe('DEVICE')
    expect(configOf(dumpConfig(config))).toEqual(config)
  })
  test('is the tenant’s, when its own entry does not say it', () => {
    const config = configOf(`${NATIVE}\n${DEVICE}\n${tenant(', scope = "DEVICE"')}`)
    expect(config.scopes.get('gpu0')).toBe('DEVICE')
  })
  test('may be said twice, but not differently', () => {
    const both = (own: string) =>
      `${NATIVE}\n${DEVICE}\nscope = "${own}"\n${tenant(', scope = "DEVICE"')}`
    expect(configOf(both('DEVICE')).scopes.get('gpu0')).toBe('DEVICE')
    expect(problemsOf(both('HOST'))).toEqual([
      'f.toml:10: tenant[0].devices[0].scope: is "DEVICE" for "gpu0", whose own entry says ' +
        '"HOST"; leave it out here, or there',
    ])
  })
  test('is said of emulated devices in the same way, but is HOST of one that is shared', () => {
    const device = '[[backend.device]]\nname = "e"\nscope = "DEVICE"'
    expect(configOf(device).scopes.get('e')).toBe('DEVICE')
    expect(problemsOf(`${device}\nshared = true`)).toEqual([
      'f.toml:3: backend.device[0].scope: is "DEVICE", but a shared device’s numbers are in HOST ' +
        'scope; leave it out',
    ])
  })
})
