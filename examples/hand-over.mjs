/**
 * How a VMM gives a device of the host into the broker's hands, from its first open() until it lets
 * go: docs/NATIVE.md step by step, with the bytes of each ioctl. A VMM in another language makes the
 * same system calls. Where the device cannot be opened it takes part by numbers only.
 *
 *   node examples/hand-over.mjs DEVICE CDEV VMM_SOCKET SIDE_SOCKET
 *   node examples/hand-over.mjs devices/gpu0 /dev/vfio/devices/vfio0 \
 *     /run/pasidd/vmm/pasid.sock /run/pasidd/vmm/fds.sock
 */
import fs from 'node:fs'
import { PasidClient, PasidError } from '../dist/client/index.js'
import { LinuxCallThread } from '../dist/linux/call-thread.js'
import { connect } from '../dist/linux/fd-connection.js'
import { createMemfd } from '../dist/linux/memfd.js'

const [device, cdevPath, vmmSocket, sideSocket] = process.argv.slice(2)
const RAM_BYTES = 0x10_0000
const GUESTS_PASID = 5

// include/uapi/linux/iommufd.h
const IOMMU_IOAS_ALLOC = 0x3b81
const IOMMU_IOAS_MAP_FILE = 0x3b8f
const IOMMU_IOAS_MAP_FIXED_IOVA = 1
const IOMMU_IOAS_MAP_WRITEABLE = 2
const IOMMU_IOAS_MAP_READABLE = 4

/** Node has no ioctl(2) of its own, and this thread by itself keeps no process from ending. */
const thread = LinuxCallThread.start('vmm')
const awake = setInterval(() => undefined, 60_000)
/** Answers the structure as the kernel left it. */
async function ioctl(what, fd, request, bytes) {
  const end = await thread.ioctl({ fd, request, bytes })
  if (end.code < 0) throw new Error(`${what}: errno ${-end.code}`)
  return Buffer.from(end.bytes)
}

/** Step 1: an IOAS with the guest's memory in it, at guest-physical 0. */
async function makeIoas(iommufd, ram) {
  // struct iommu_ioas_alloc: size, flags, out_ioas_id
  const alloc = Buffer.alloc(12)
  alloc.writeUInt32LE(alloc.length, 0)
  const ioas = (await ioctl('IOMMU_IOAS_ALLOC', iommufd, IOMMU_IOAS_ALLOC, alloc)).readUInt32LE(8)
  // struct iommu_ioas_map_file: size, flags, ioas_id, fd, start, length, iova. Writable: Intel takes
  // no other mapping under a guest's table.
  const map = Buffer.alloc(40)
  map.writeUInt32LE(map.length, 0)
  const flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE
  map.writeUInt32LE(flags, 4)
  map.writeUInt32LE(ioas, 8)
  map.writeInt32LE(ram, 12)
  map.writeBigUInt64LE(BigInt(RAM_BYTES), 24)
  await ioctl('IOMMU_IOAS_MAP_FILE', iommufd, IOMMU_IOAS_MAP_FILE, map)
  return ioas
}

/** Step 3: one message, "vfio" with the iommufd and then the device; one answer. */
function sideToken(iommufd, cdev) {
  return new Promise((resolve, reject) => {
    const side = connect(sideSocket)
    // A failure of connect(2) is a value.
    if (!('onMessage' in side)) return reject(new Error(`the side socket: ${side}`))
    side.onClose(() => reject(new Error('the side socket was closed without an answer')))
    side.onMessage(({ text }) => {
      const [word, ...rest] = text.split(' ')
      if (word === 'token') resolve(rest[0])
      else reject(new Error(`the side socket ${text}`))
      side.close()
    })
    side.send('vfio', [iommufd, cdev])
  })
}

/** The VMM's own. Undefined: why it cannot, for people. */
function openBoth() {
  const opened = []
  try {
    for (const path of [cdevPath, '/dev/iommu']) opened.push(fs.openSync(path, 'r+'))
    const [cdev, iommufd] = opened
    return { cdev, iommufd }
  } catch (error) {
    for (const fd of opened) fs.closeSync(fd)
    console.log(`${error.message}: numbers only`)
    return undefined
  }
}

/** In scope DEVICE the numbers are the device's own, and the guest picks them. */
function numberingOf({ scope }) {
  return scope === 'SCOPE_DEVICE' ? { scope, device } : { scope }
}

async function allocate(session, facts) {
  const ask =
    facts.scope === 'SCOPE_DEVICE'
      ? { exact: { pasids: [GUESTS_PASID] } }
      : { one: {}, devices: [device] }
  const { ranges } = await session.allocatePasids({ ...numberingOf(facts), ...ask })
  return ranges[0].first
}

async function brokered(session, { iommufd, cdev }) {
  const ram = createMemfd('guest-ram').release()
  fs.ftruncateSync(ram, RAM_BYTES)
  const ioasId = await makeIoas(iommufd, ram)
  console.log(`IOAS ${ioasId} has the guest's memory`)
  // Step 2 is what is not done: VFIO_DEVICE_BIND_IOMMUFD is the broker's.
  const token = await sideToken(iommufd, cdev)
  // Step 4: the parent is made on the IOAS; the RID goes through it at once.
  const handOver = { token, ioas: { ioasId }, moveRid: true }
  const { device: facts, native } = await session.attachDevice({ device, handOver })
  console.log(`device ${native.devId} on parent HWPT ${native.parentHwptId}, ${native.ridState}`)
  // Step 5, with the guest's page table at guest-physical 0x10000.
  const pasid = await allocate(session, facts)
  const firstStage = { address: String(0x10000), addressWidth: 48 }
  const bound = await session.bindPasid({ pasid, devices: [device], firstStage, domain: 7 })
  console.log(`PASID ${pasid} bound: HWPT ${bound.devices[0].hwptId} is ours to invalidate, too`)
  const caches = ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_DEVICE_TLB']
  const { done } = await session.invalidate([{ pasid: { pasid }, caches }])
  console.log(`${done} invalidation done`)
  await session.unbindPasids({ all: {} })
  // While the device is in the broker's hands: then the number need not wait for anything.
  await session.freePasids({ ...numberingOf(facts), pasids: { pasids: [pasid] } })
  // Step 6: before the descriptors are closed, or the device stays bound.
  await session.detachDevice({ device })
  for (const fd of [cdev, iommufd, ram]) fs.closeSync(fd)
  console.log('detached, and closed')
}

async function numbersOnly(session) {
  const { device: facts } = await session.attachDevice({ device })
  const pasid = await allocate(session, facts)
  console.log(`PASID ${pasid} is ours to attach`)
  // Detached in the kernel first, and given back before the session goes: then nothing waits.
  await session.freePasids({ ...numberingOf(facts), pasids: { pasids: [pasid] } })
  await session.detachDevice({ device })
}

const client = new PasidClient({ socket: vmmSocket })
const session = await client.openSession({ labels: { vm: 'hand-over' } })
try {
  const both = openBoth()
  await (both === undefined ? numbersOnly(session) : brokered(session, both))
} catch (error) {
  const why = error instanceof PasidError ? `${error.reason}: ${error.message}` : error.message
  console.log(`refused: ${why}`)
  process.exitCode = 1
} finally {
  await session.closeSession()
  client.close()
  thread.end()
  clearInterval(awake)
}
