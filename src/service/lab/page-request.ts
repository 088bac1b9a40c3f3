/**
 * RaisePageRequest: a device asks for a page, and the caller may wait for the response that the
 * device gets. Holds: the calls that wait are bounded, and one whose client is gone, or that a
 * stopping daemon ends, leaves nothing behind but its page request, which is the device's.
 */

import type { ServerUnaryCall } from '@grpc/grpc-js'
import type { LabPageRequest, LabRaised } from '../../backend/lab.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'
import type { LabRequest, LabResponse } from '../../wire/messages.js'
import { Fields } from '../convert/fields.js'
import type { Streams } from '../streams.js'
import { atMost, emulatedTargetOf, pageAddressOf } from './names.js'

/** PRGI has nine bits. */
const GROUP_LAST = 511
/** Calls that wait for a response at once: no test waits for more, and each holds a stream. */
export const PAGE_REQUEST_WAITS_MAX = 256

type Response = LabResponse<'RaisePageRequest'>

export interface RaiseAsked {
  readonly request: LabPageRequest
  readonly wait: boolean
}

export function raiseOf(message: LabRequest<'RaisePageRequest'>): Outcome<RaiseAsked> {
  const fields = new Fields()
  const { read, write, execute, privileged, last, wait } = message
  const request: LabPageRequest = {
    device: fields.name('device', message.device, 'devices'),
    target: emulatedTargetOf(fields, message.target),
    group: atMost(fields, 'group', message.group, GROUP_LAST),
    address: pageAddressOf(fields, 'address', message.address),
    read,
    write,
    execute,
    privileged,
    last,
  }
  if (wait && !last) {
    const remedy = 'wait with the last request of the group: it is what is answered'
    fields.no('wait', 'true', 'false unless last is set', remedy)
  }
  return fields.answer({ request, wait })
}

type Cancellable = Pick<ServerUnaryCall<unknown, unknown>, 'cancelled' | 'once' | 'off'>

export class PageRequestWaits {
  readonly #streams: Streams
  #waiting = 0

  constructor(streams: Streams) {
    this.#streams = streams
  }

  get waiting(): number {
    return this.#waiting
  }

  /** `raise` is called when there is room to wait, not else. */
  run(
    call: Cancellable,
    { wait }: RaiseAsked,
    raise: () => Outcome<LabRaised>,
  ): Outcome<Response> | Promise<Outcome<Response>> {
    if (wait && this.#waiting >= PAGE_REQUEST_WAITS_MAX) {
      const what = 'calls that wait for page responses'
      return refuse({ code: 'OVERLOADED', limit: PAGE_REQUEST_WAITS_MAX, what })
    }
    const raised = raise()
    if (!raised.ok) return raised
    if (!wait || raised.value.state !== 'DELIVERED') return accept({ state: raised.value.state })
    return this.#wait(call, raised.value.answered)
  }

  #wait(call: Cancellable, answered: Promise<string>): Promise<Outcome<Response>> {
    this.#waiting += 1
    return new Promise((resolve) => {
      let waits = true
      // The first that comes ends it.
      const end = (settle: () => void): void => {
        if (!waits) return
        waits = false
        call.off('cancelled', gone)
        leave()
        this.#waiting -= 1
        settle()
      }
      const gone = (): void => end(() => resolve(accept({ state: 'DELIVERED' })))
      const drain = (): void => end(() => resolve(refuse({ code: 'DRAINING' })))
      const leave = this.#streams.add({ drain })
      call.once('cancelled', gone)
      void answered.then((state) => end(() => resolve(accept({ state }))))
      if (call.cancelled) gone()
      else if (this.#streams.draining) drain()
    })
  }
}
