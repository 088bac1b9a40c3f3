/**
 * The way of page requests out of the emulator and back: each complete group to the listener, as
 * one of the session whose binding it came through, and its answer to whoever raised it. Called by
 * the emulator, the programming of bindings (drains) and the resets.
 *
 * What always holds: whoever raised a group hears once what became of it; the listener hears of the
 * end of each group that it was told of and did not answer itself.
 */

import type { SessionId, Target } from '../../core/ids.js'
import type { BackendListener, PageRequestAnswer, RaisedGroup } from '../backend.js'
import type { LabRaised } from '../lab.js'
import type { DeviceState } from './device.js'
import type { OperationLog } from './operation-log.js'
import type { PageRequest, PageRequestEndCode } from './page-requests.js'

interface Delivered {
  readonly device: DeviceState
  readonly raised: RaisedGroup
  readonly settle: (end: PageRequestEndCode) => void
}

export class PageRequestRouter {
  readonly #log: OperationLog
  readonly #delivered = new Map<string, Delivered>()
  #listener: BackendListener | undefined

  constructor(log: OperationLog) {
    this.#log = log
  }

  /** The groups that wait are told anew, to a listener that may not know of them. */
  listen(listener: BackendListener): void {
    this.#listener = listener
    for (const { raised } of [...this.#delivered.values()]) listener.pageRequest(raised)
  }

  /** `session`: whose binding stands at the place; undefined: nobody's. */
  raise(device: DeviceState, request: PageRequest, session: SessionId | undefined): LabRaised {
    const { target, group } = request
    const queued = device.pageRequests.raise(request, session !== undefined)
    if (queued === 'WAITING' || queued === 'DROPPED') return { state: queued }
    if (queued !== 'COMPLETE' || session === undefined) {
      const code = queued === 'SUCCESS' ? 'SUCCESS' : 'INVALID'
      this.#record({ device: device.name, target, group, code })
      return { state: code }
    }
    const pages = device.pageRequests.find(target, group) ?? []
    const raised = { device: device.name, target, session, group, pages }
    let settle: Delivered['settle'] = () => undefined
    const answered = new Promise<PageRequestEndCode>((resolve) => (settle = resolve))
    this.#delivered.set(keyOf(device, target, group), { device, raised, settle })
    this.#listener?.pageRequest(raised)
    return { state: 'DELIVERED', answered }
  }

  /** False: no such group waits. */
  respond(device: DeviceState, answer: PageRequestAnswer): boolean {
    const { target, group, code } = answer
    if (!device.pageRequests.answer(target, group)) return false
    this.#record(answer)
    this.#take(device, target, group)?.settle(code)
    return true
  }

  /** The unit's own queue answers, not the listener. No such group waits: it is lost. */
  answered(device: DeviceState, answer: PageRequestAnswer): void {
    if (device.pageRequests.answer(answer.target, answer.group)) this.#ended(device, answer)
  }

  /** A drain has taken the group out of the device's queue. */
  drained(device: DeviceState, target: Target, group: number): void {
    this.#ended(device, { device: device.name, target, group, code: 'INVALID' })
  }

  #ended(device: DeviceState, answer: PageRequestAnswer): void {
    this.#record(answer)
    const delivered = this.#take(device, answer.target, answer.group)
    if (delivered !== undefined) this.#gone(delivered, answer.code)
  }

  /** Without answers: the device was reset. How many requests waited. */
  dropAll(device: DeviceState): number {
    const dropped = device.pageRequests.clear()
    for (const [key, delivered] of [...this.#delivered]) {
      if (delivered.device !== device) continue
      this.#delivered.delete(key)
      this.#gone(delivered, 'DROPPED')
    }
    return dropped
  }

  #gone({ raised, settle }: Delivered, end: PageRequestEndCode): void {
    settle(end)
    const { device, target, session, group } = raised
    this.#listener?.pageRequestGone({ device, target, session, group })
  }

  #take(device: DeviceState, target: Target, group: number): Delivered | undefined {
    const key = keyOf(device, target, group)
    const delivered = this.#delivered.get(key)
    this.#delivered.delete(key)
    return delivered
  }

  #record({ device, target, group, code }: PageRequestAnswer): void {
    const log = this.#log
    if (log.on) log.record({ kind: 'PAGE_GROUP_RESPONSE', device, target, group, code })
  }
}

function keyOf(device: DeviceState, target: Target, group: number): string {
  return `${device.sourceId}/${target}/${group}`
}
