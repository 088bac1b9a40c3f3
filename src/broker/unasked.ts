/**
 * What the backend tells unasked, joined to those who listen: page requests to each session's
 * receiver, faults and resets to all of its subscribers; and who begins to listen hears what is
 * LOST already. Made at start, before anything is put in force again, so that nothing the backend
 * tells is missed.
 */

import { bindingView } from '../core/view.js'
import type { Subscriber, Subscription } from './answers.js'
import type { Context } from './context.js'
import { DeviceFaults } from './device-faults.js'
import { PageRequests, type PageRequestPolicy } from './page-requests.js'

export class Unasked {
  readonly pageRequests: PageRequests
  readonly #faults: DeviceFaults
  readonly #context: Context

  constructor(context: Context, policy: PageRequestPolicy) {
    const pageRequests = new PageRequests(context, policy)
    const faults = new DeviceFaults(context)
    this.#context = context
    this.pageRequests = pageRequests
    this.#faults = faults
    context.backend.listen({
      pageRequest: (group) => pageRequests.raised(group),
      pageRequestGone: (group) => pageRequests.gone(group),
      fault: (fault) => faults.fault(fault),
      reset: (device, done) => faults.reset(device, done),
    })
    pageRequests.begun()
  }

  subscribe(subscriber: Subscriber): Subscription {
    const subscription = this.#context.hub.subscribe(subscriber)
    this.#tellLost(subscriber)
    const leave = subscriber.receivePageRequests ? this.pageRequests.receive(subscriber) : undefined
    return {
      close: () => {
        leave?.()
        subscription.close()
      },
    }
  }

  stop(): void {
    this.pageRequests.stop()
    this.#faults.stop()
  }

  /** While nobody listened, as when the daemon was restarted. */
  #tellLost(subscriber: Subscriber): void {
    const { state } = this.#context
    const session = state.sessions.get(subscriber.session)
    let left = Math.min(session?.lost ?? 0, subscriber.lostToldMax ?? 0)
    for (const key of session?.bindings ?? []) {
      if (left === 0) return
      const binding = state.bindings.get(key)
      if (binding?.state !== 'LOST') continue
      subscriber.deliver({ kind: 'binding-lost', binding: bindingView(state, binding) })
      left -= 1
    }
  }
}
