/**
 * Taking a hand-over: the device is bound to the VMM's iommufd, which is the proof that the two
 * descriptors belong together; it is asked what it can do; its parent is found fit or made; its RID
 * is moved if that is wanted. Holds: what cannot be taken is undone, last first, and its
 * descriptors are closed; every refusal says what to do.
 */

import type { SessionId } from '../../core/ids.js'
import { BackendFault, HandOverRefused, type HandOver, type Parent } from '../backend.js'
import type { DeviceCalls } from './device-calls.js'
import { faultOf } from './errors.js'
import { FaultQueue } from './fault-queue.js'
import { closeApart, HeldFd } from './held-fd.js'
import { closeDevice, HeldDevice, type HeldDeviceParts } from './held-device.js'
import { Holding, type HeldParent } from './holding.js'
import { quietly } from './hwpts.js'
import { keptName, Memory } from './memory.js'
import {
  KernelRefusal,
  type FdKeeper,
  type HostDevice,
  type Kernel,
  type VfioClock,
} from './ports.js'
import { restOnParent } from './rid.js'
import { ANEW, bindRefused, parentRefused, refused } from './hand-over-refusals.js'
import type { BackendListener } from '../backend.js'
import type { Job } from './work.js'

export interface HandOverParts {
  readonly kernel: Kernel
  readonly keeper: FdKeeper
  readonly clock: VfioClock
  readonly listener: () => BackendListener | undefined
}

/** What is on its way into our hands. */
export interface Incoming extends HeldDeviceParts {
  readonly session: SessionId
  readonly wanted: Pick<HandOver, 'parent' | 'moveRid' | 'faultId'>
  /** What is made for it, as soon as there is something. */
  made: Holding | undefined
}

export function incoming(
  host: HostDevice,
  session: SessionId,
  handOver: HandOver,
  calls: DeviceCalls,
): Incoming {
  const cdev = new HeldFd(handOver.cdev, `the descriptor of ${host.name}`)
  return {
    host,
    session,
    calls,
    iommufd: new HeldFd(handOver.iommufd, `the iommufd of ${host.name}`),
    cdev,
    port: host.attachPort(cdev, calls),
    wanted: handOver,
    made: undefined,
  }
}

/**
 * Into the group's holding, or into one that is made for it. @throws BackendFault; HandOverRefused;
 * then nothing is left of it
 */
export async function takeHandOver(
  parts: HandOverParts,
  job: Job,
  from: Incoming,
  standing: Holding | undefined,
): Promise<Holding> {
  try {
    const device = await bindDevice(job, from)
    if (standing === undefined) return await begin(parts, job, device, from)
    await join(job, standing, device, from)
    return standing
  } catch (error) {
    await closeDevice(parts.kernel, from)
    throw faultOf(from.host.name, error)
  }
}

async function bindDevice(job: Job, from: Incoming): Promise<HeldDevice> {
  const { host, cdev, iommufd, port } = from
  job.check()
  const wrong = host.problemWith(cdev)
  if (wrong !== undefined) throw new HandOverRefused(`${host.name}: ${wrong.problem}`, wrong.remedy)
  let devId: number
  try {
    devId = await port.bind(iommufd.number)
  } catch (error) {
    throw bindRefused(host.name, error)
  }
  job.check()
  const unknown = { dataType: 0, data: new Uint8Array(), maxPasidLog2: 0, capabilities: 0n }
  const first = new HeldDevice(from, { devId, info: unknown })
  const info = await first.ioctls.hwInfo(devId)
  job.check()
  return new HeldDevice(from, { devId, info })
}

/** The first device of the group: what the group shares is made with it. */
async function begin(
  parts: HandOverParts,
  job: Job,
  device: HeldDevice,
  from: Incoming,
): Promise<Holding> {
  const { kernel, keeper } = parts
  const { session, wanted } = from
  const parent = await parentFor(job, device, wanted)
  const undo: (() => Promise<unknown>)[] = []
  if (parent.own !== undefined) undo.push(() => device.ioctls.destroy(parent.id))
  try {
    job.check()
    const own = wanted.faultId === undefined && device.facts.pageRequests
    const queue = own ? await allocFaultQueue(kernel, device, undo) : undefined
    const name = keptName(session, device.name, 'memory')
    const memory = Memory.create(keeper, name, {
      type: 'HEADER',
      session,
      parent: parent.id,
      ownParent: parent.own,
      faults: faultsOf(wanted.faultId, queue?.id),
    })
    undo.push(() => Promise.resolve(memory.end()))
    const holding = new Holding({ session, parent, foreignFaultId: wanted.faultId, memory })
    from.made = holding
    if (queue !== undefined) {
      holding.faults = faultQueueOf(parts, holding, queue)
      const { faults } = holding
      undo.push(() => faults.end())
      memory.keep(keptName(session, device.name, 'fault'), queue.fd)
    }
    await enter(job, holding, device, wanted.moveRid)
    // Not before: it is read through the holding's device.
    holding.faults?.start()
    return holding
  } catch (error) {
    for (const step of undo.reverse()) await quietly(step)
    throw error
  }
}

function faultsOf(foreign: number | undefined, own: number | undefined) {
  if (foreign !== undefined) return { id: foreign, own: false }
  return own === undefined ? undefined : { id: own, own: true }
}

async function join(
  job: Job,
  holding: Holding,
  device: HeldDevice,
  { wanted }: Incoming,
): Promise<void> {
  const { parent, foreignFaultId } = holding
  const one = 'all devices of an IOMMU group have one parent, and one fault queue: name the same'
  const remedy = `${one}. ${ANEW}`
  if (!isSameParent(parent, wanted.parent)) {
    const what = `${parentText(wanted.parent)} is not that of its IOMMU group: HWPT ${parent.id}`
    throw refused(device.name, what, remedy)
  }
  if (wanted.faultId !== foreignFaultId) {
    const what = `fault_id ${wanted.faultId ?? 'absent'} is not that of its IOMMU group`
    throw refused(device.name, `${what}: ${foreignFaultId ?? 'absent'}`, remedy)
  }
  await enter(job, holding, device, wanted.moveRid)
}

async function enter(
  job: Job,
  holding: Holding,
  device: HeldDevice,
  moveRid: boolean,
): Promise<void> {
  holding.devices.set(device.name, device)
  try {
    holding.remember(device)
    holding.keepFds(device)
    job.check()
    if (moveRid) await moveToParent(job, holding, device)
  } catch (error) {
    holding.devices.delete(device.name)
    holding.forgetDevice(device)
    throw error
  }
}

async function moveToParent(job: Job, holding: Holding, device: HeldDevice): Promise<void> {
  try {
    await restOnParent(holding, device)
  } catch (error) {
    await quietly(() => device.port.detach(undefined))
    holding.rest(device, 'NO')
    if (!(error instanceof KernelRefusal) || error.errno !== 'EINVAL') throw error
    const what = `the RID cannot be attached to HWPT ${holding.parent.id}`
    throw refused(
      device.name,
      `${what} (move_rid)`,
      'the parent must be an HWPT for this IOMMU, made with IOMMU_HWPT_ALLOC_PASID; in an IOMMU ' +
        `group the RID must not be bound through another device. ${ANEW}`,
    )
  }
  if (!job.isGivenUp) return
  await quietly(() => device.port.detach(undefined))
  holding.rest(device, 'NO')
  job.check()
}

/** Ours, or the VMM's, found to be one that tables can be nested on. */
async function parentFor(
  job: Job,
  device: HeldDevice,
  { parent, faultId }: Incoming['wanted'],
): Promise<HeldParent> {
  const { ioctls, devId, codec } = device
  try {
    if (parent.kind === 'IOAS') {
      const { id: ioas, dirtyTracking } = parent
      const kind = { nests: codec !== undefined, dirtyTracking }
      const id = await ioctls.allocParent(devId, ioas, kind)
      if (job.isGivenUp) await quietly(() => ioctls.destroy(id))
      job.check()
      if (faultId !== undefined)
        await probe(device, id, faultId).catch(async (error: unknown) => {
          await quietly(() => ioctls.destroy(id))
          throw error
        })
      return { id, own: { ioas, dirtyTracking } }
    }
    await probe(device, parent.id, faultId)
    return { id: parent.id, own: undefined }
  } catch (error) {
    throw parentRefused(device.name, parent, faultId, error)
  }
}

/** A table that is made and destroyed: nothing else says what an id stands for. */
async function probe(
  { ioctls, devId, codec }: HeldDevice,
  parent: number,
  faultId: number | undefined,
): Promise<void> {
  if (codec === undefined) return
  const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
  const data = codec.table({ kind: 'FIRST_STAGE', address: 0, width: 48, ...flags })
  const id = await ioctls.allocNested({
    devId,
    parent,
    dataType: codec.hwptDataType,
    data,
    faultId,
  })
  await quietly(() => ioctls.destroy(id))
}

async function allocFaultQueue(
  kernel: Kernel,
  device: HeldDevice,
  undo: (() => Promise<unknown>)[],
): Promise<{ readonly id: number; readonly fd: HeldFd }> {
  const { id, fd: number } = await device.ioctls.allocFaultQueue()
  const what = `the fault queue of ${device.name}`
  const fd = new HeldFd(kernel.adopt(number, what), what)
  // The descriptor needs the queue.
  undo.push(
    () => device.ioctls.destroy(id),
    () => closeApart(kernel, [fd]),
  )
  return { id, fd }
}

export function faultQueueOf(
  { kernel, clock, listener }: HandOverParts,
  holding: Holding,
  { id, fd }: { readonly id: number; readonly fd: HeldFd },
): FaultQueue {
  return new FaultQueue({
    id,
    fd,
    session: holding.session,
    kernel,
    clock,
    listener,
    calls: () => {
      for (const { calls } of holding.devices.values()) return calls
      throw new BackendFault('no device of the fault queue is in our hands', 'STOP')
    },
    deviceAt: (devId, target) => holding.deviceAt(devId, target),
    memory: {
      waits: (group) => holding.waits(group),
      waitsNoMore: (group) => holding.waitsNoMore(group),
    },
  })
}

function isSameParent({ id, own }: HeldParent, wanted: Parent): boolean {
  if (wanted.kind === 'HWPT') return id === wanted.id
  return own?.ioas === wanted.id && own.dirtyTracking === wanted.dirtyTracking
}

function parentText(parent: Parent): string {
  if (parent.kind === 'HWPT') return `parent HWPT ${parent.id}`
  return `parent on IOAS ${parent.id}, dirty_tracking ${parent.dirtyTracking}`
}
