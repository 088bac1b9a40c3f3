/**
 * A daemon with devices of the host, on a host that is made up of files: /dev/null stands for
 * /dev/iommu and /dev/zero for a VFIO device, to which no system call of either can succeed. What is
 * real: the sockets, the descriptors, the ledger, and what the kernel answers to those calls. The
 * tests in a guest (test/kernel/) have the devices.
 */
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PasidClient, type PasidSession } from '../../src/client/index.js'
import { EXIT, StartFailure } from '../../src/daemon/exits.js'
import { openLogs } from '../../src/daemon/logs.js'
import { startDaemon, type RunningDaemon } from '../../src/daemon/start.js'
import { configIn, stopAll, temporaryFolder } from '../support/daemon.js'
import { HostTree } from '../support/doctor-tree.js'
import { ADDRESS, makeNativeHost } from '../support/native-host.js'
import { closeSideClients, SideClient } from '../support/side-client.js'

const TOML = `
[backend]
kind = "native"
[[backend.device]]
name = "gpu0"
address = "${ADDRESS}"
scope = "DEVICE"
`
const DEVICE = 'devices/gpu0'
const TABLE = { firstStage: { address: 4096, addressWidth: 48 } } as const

let folder: string
let root: string
const lines: string[] = []
const daemons: RunningDaemon[] = []
const clients: PasidClient[] = []

const openFds = () => fs.readdirSync('/proc/self/fd').length

/** Of what stands for an iommufd and a device. */
function handedOver(): readonly [iommufds: number, devices: number] {
  const links = fs.readdirSync('/proc/self/fd').map((name) => {
    // The folder's own is gone by now.
    const link = `/proc/self/fd/${name}`
    return fs.existsSync(link) ? fs.readlinkSync(link) : ''
  })
  const count = (name: string) => links.filter((link) => link === name).length
  return [count('/dev/null'), count('/dev/zero')]
}

async function start(toml = TOML): Promise<RunningDaemon> {
  const sink = { write: (line: string) => void lines.push(line) }
  const config = configIn(folder, toml)
  const logs = openLogs({ level: config.logLevel, sink })
  const daemon = await startDaemon(config, { logs, hostRoot: root })
  daemons.push(daemon)
  return daemon
}

beforeEach(() => {
  folder = temporaryFolder()
  root = path.join(folder, 'host')
  lines.length = 0
})
afterEach(async () => {
  closeSideClients()
  for (const client of clients.splice(0)) client.close()
  for (const daemon of daemons.splice(0)) await daemon.stop()
  await stopAll()
})

async function openSession({ vmmSocket }: RunningDaemon): Promise<PasidSession> {
  const client = new PasidClient({ socket: vmmSocket })
  clients.push(client)
  const { name, token } = await client.openSession({})
  return client.session(name, token)
}

/** What the side socket says to descriptors of these files. */
async function send({ fdSocket }: RunningDaemon, ...files: readonly string[]): Promise<string> {
  const client = new SideClient(fdSocket)
  const fds = files.map((file) => fs.openSync(file, 'r+'))
  const answer = await client.ask('vfio', fds)
  for (const fd of fds) fs.closeSync(fd)
  client.close()
  return answer
}

async function tokenFor(daemon: RunningDaemon): Promise<string> {
  const answer = await send(daemon, '/dev/null', '/dev/zero')
  expect(answer).toMatch(/^token /)
  return answer.slice('token '.length)
}

describe('a daemon with devices of the host', () => {
  test('does not start on a host that is not ready: it says all that is missing', async () => {
    new HostTree(root).file('proc/sys/kernel/osrelease', '6.1.0-13-amd64\n')
    const begun = openFds()
    const failure = await start().catch((error: unknown) => error)
    if (!(failure instanceof StartFailure)) throw new Error(`no failure: ${String(failure)}`)
    expect(failure.exitCode).toBe(EXIT.HOST)
    expect(failure.message).toMatch(/^this host is not ready for backend\.kind = "native":\n {2}/)
    expect(failure.message).toMatch('boot Linux 6.15 or later')
    expect(failure.message).toMatch(`gpu0 (${ADDRESS})`)
    await expect.poll(openFds).toBe(begun)
    // It can be started by the same paths, once the host is.
    makeNativeHost(root)
    await start()
  })
  test('tells the device as sysfs knows it, and in the scope of its entry', async () => {
    makeNativeHost(root)
    const daemon = await start()
    expect(daemon.emulator).toBeUndefined()
    expect(daemon.backend.kind).toBe('vfio')
    expect(daemon.backend.devices()).toMatchObject([
      { name: 'gpu0', platform: 'INTEL_VTD', translation: 'NONE', shared: false, group: '5' },
    ])
    expect(daemon.config.scopes.get('gpu0')).toBe('DEVICE')
    expect(lines.join('')).toMatch('"backend":"vfio"')
  })
  test('says once that nothing keeps descriptors where there is no manager', async () => {
    makeNativeHost(root)
    await start()
    expect(lines.filter((line) => line.includes('no service manager keeps'))).toHaveLength(1)
  })
  test('serves sessions that have the device by number only', async () => {
    makeNativeHost(root)
    const session = await openSession(await start())
    const { native } = await session.attachDevice({ device: DEVICE })
    expect(native).toBeNull()
    await session.allocatePasids({
      exact: { pasids: [5] },
      scope: 'SCOPE_DEVICE',
      device: DEVICE,
    })
    const { allocations } = await session.listPage()
    expect(allocations).toMatchObject([{ pasid: 5 }])
    const bind = session.bindPasid({ pasid: 5, devices: [DEVICE], domain: 1, ...TABLE })
    await expect(bind).rejects.toMatchObject({ reason: 'DEVICE_NOT_HANDED_OVER' })
  })
})

describe('a hand-over to the daemon', () => {
  test('reaches the kernel with the VMM’s own descriptors, and its no is the answer', async () => {
    makeNativeHost(root)
    const daemon = await start()
    const session = await openSession(daemon)
    const begun = handedOver()
    const token = await tokenFor(daemon)
    const attach = () =>
      session.attachDevice({ device: DEVICE, handOver: { token, ioas: { ioasId: 1 } } })
    // /dev/zero has no VFIO_DEVICE_BIND_IOMMUFD.
    await expect(attach()).rejects.toMatchObject({
      reason: 'HAND_OVER_REFUSED',
      message: expect.stringMatching(
        /VFIO_DEVICE_BIND_IOMMUFD failed with ENOTTY: .*is no VFIO device/,
      ) as string,
    })
    await expect(attach()).rejects.toMatchObject({ reason: 'HAND_OVER_TOKEN_INVALID' })
    await expect.poll(handedOver).toEqual(begun)
  })
  test('is refused for another device than the one that is named', async () => {
    makeNativeHost(root).file(`sys/bus/pci/devices/${ADDRESS}/vfio-dev/vfio0/dev`, '251:7\n')
    const daemon = await start()
    const session = await openSession(daemon)
    const token = await tokenFor(daemon)
    const handOver = { token, ioas: { ioasId: 1 } }
    await expect(session.attachDevice({ device: DEVICE, handOver })).rejects.toMatchObject({
      reason: 'HAND_OVER_REFUSED',
      message: expect.stringMatching(`character device 1:5, and ${ADDRESS} is 251:7`) as string,
    })
  })
  test('of wrong descriptors ends at the side socket', async () => {
    makeNativeHost(root)
    const daemon = await start()
    expect(await send(daemon, '/dev/zero', '/dev/null')).toMatch(/^refused .* in the wrong order/)
    expect(await send(daemon, '/dev/null', '/dev/full')).toMatch(
      /^refused .* the group \/dev\/vfio/,
    )
  })
  test('that nobody comes for is closed with the daemon', async () => {
    makeNativeHost(root)
    const daemon = await start()
    const session = await openSession(daemon)
    const begun = handedOver()
    const token = await tokenFor(daemon)
    await session.closeSession()
    const handOver = { token, ioas: { ioasId: 1 } }
    const attach = session.attachDevice({ device: DEVICE, handOver })
    await expect(attach).rejects.toMatchObject({ reason: 'SESSION_NOT_FOUND' })
    // A call that fails for another reason spends no token.
    const [iommufds, devices] = begun
    expect(handedOver()).toEqual([iommufds + 1, devices + 1])
    await daemon.stop()
    await expect.poll(() => handedOver()[1]).toBe(devices)
  })
  test('to the emulator is refused, on either socket', async () => {
    const daemon = await start('')
    expect(await send(daemon, '/dev/null', '/dev/zero')).toMatch(
      /^refused this daemon has the emulator, to which no device is handed over; attach it by name/,
    )
    const session = await openSession(daemon)
    const handOver = { token: '0'.repeat(64), ioas: { ioasId: 1 } }
    const attach = session.attachDevice({ device: 'devices/emu0', handOver })
    await expect(attach).rejects.toMatchObject({ reason: 'FEATURE_NOT_AVAILABLE' })
  })
})
