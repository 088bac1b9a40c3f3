/**
 * Who listens for a VM on a rig, as its Control streams do, and a device that asks for pages: what
 * the tests of page requests, faults and resets stand on.
 */

import type { SessionEvent, Subscription } from '../../src/broker/answers.js'
import type { LabPageRequest, LabRaised } from '../../src/backend/lab.js'
import { target } from '../../src/core/ids.js'
import type { BrokerRig } from './broker-rig.js'
import type { RigVm } from './broker-rig-vm.js'

type Event<Kind extends SessionEvent['kind']> = Extract<SessionEvent, { readonly kind: Kind }>
export type PageRequestEvent = Event<'page-request'>

export class Receiver {
  readonly events: SessionEvent[] = []
  readonly #subscription: Subscription

  constructor(vm: RigVm, receivePageRequests = true) {
    this.#subscription = vm.broker.subscribe({
      session: vm.id,
      receivePageRequests,
      deliver: (event) => void this.events.push(event),
    })
  }

  of<Kind extends SessionEvent['kind']>(kind: Kind): readonly Event<Kind>[] {
    return this.events.filter((event): event is Event<Kind> => event.kind === kind)
  }

  get requests(): readonly PageRequestEvent[] {
    return this.of('page-request')
  }

  /** The token of the newest page request. */
  get token(): Uint8Array {
    const newest = this.requests.at(-1)
    if (newest === undefined) throw new Error('no page request came')
    return newest.token
  }

  close(): void {
    this.#subscription.close()
  }
}

/** One page, which completes its group. */
export function raise(
  rig: Pick<BrokerRig, 'emulator'>,
  at: number,
  group = 3,
  more: Partial<LabPageRequest> = {},
): LabRaised {
  const rights = { read: true, write: false, execute: false, privileged: false }
  const page = { device: 'emu0', target: target(at), group, address: 0x5000n, last: true }
  return rig.emulator.raisePageRequest({ ...page, ...rights, ...more })
}

/** What became of it; undefined when that is not decided yet. */
export async function endOf(raised: LabRaised): Promise<string | undefined> {
  if (raised.state !== 'DELIVERED') return raised.state
  const turn = new Promise<undefined>((resolve) => {
    setImmediate(() => {
      resolve(undefined)
    })
  })
  return Promise.race([raised.answered, turn])
}

/** A VM with a number that is bound on emu0. */
export async function boundVm(rig: BrokerRig): Promise<{ vm: RigVm; at: number }> {
  const vm = await rig.vm()
  await vm.attach()
  const at = await vm.one()
  const bound = await vm.bind(at)
  if (!bound.ok) throw new Error(bound.refusal.code)
  return { vm, at }
}
