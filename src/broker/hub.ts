/** Who listens for what happens to a session unasked. */

import type { SessionId } from '../core/ids.js'
import type { SessionEvent, Subscriber, Subscription } from './answers.js'

export class Hub {
  readonly #subscribers = new Map<SessionId, Set<Subscriber>>()

  subscribe(subscriber: Subscriber): Subscription {
    const { session } = subscriber
    const members = this.#subscribers.get(session) ?? new Set()
    members.add(subscriber)
    this.#subscribers.set(session, members)
    return {
      close: () => {
        members.delete(subscriber)
        if (members.size === 0 && this.#subscribers.get(session) === members) {
          this.#subscribers.delete(session)
        }
      },
    }
  }

  /** Sessions that somebody listens for. */
  listened(): readonly SessionId[] {
    return [...this.#subscribers.keys()]
  }

  isListened(session: SessionId): boolean {
    return this.#subscribers.has(session)
  }

  publish(session: SessionId, event: SessionEvent): void {
    for (const subscriber of [...(this.#subscribers.get(session) ?? [])]) subscriber.deliver(event)
  }
}
