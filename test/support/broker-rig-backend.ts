/**
 * A backend between the broker and the emulator that a test can hold: an effect that is held waits
 * before it reaches the emulator (`BEFORE`) or after (`AFTER`), until it is let go or for ever, as
 * when the process dies in the middle.
 */

import type {
  Backend,
  BackendHealth,
  BackendListener,
  BindRequest,
  GuestMemories,
  InvalidateRequest,
  Observed,
  PageRequestAnswer,
  Place,
} from '../../src/backend/backend.js'
import type { Emulator } from '../../src/backend/emulator/emulator.js'
import type { Effect } from '../../src/backend/emulator/fault-plan.js'
import type { Binding } from '../../src/core/binding.js'
import type { DeviceFacts } from '../../src/core/device.js'
import type { SessionId } from '../../src/core/ids.js'

interface Hold {
  readonly effect: Effect
  readonly when: 'BEFORE' | 'AFTER'
  readonly released: Promise<void>
  reached: () => void
}

export interface HeldEffect {
  /** Resolves when the broker's call has come to where it waits. */
  readonly reached: Promise<void>
  release(): void
}

export class HeldBackend implements Backend {
  readonly kind = 'emulator'
  readonly guestMemory: GuestMemories
  readonly handOvers = undefined
  readonly #holds: Hold[] = []

  constructor(readonly emulator: Emulator) {
    this.guestMemory = emulator.guestMemory
  }

  listen(listener: BackendListener): void {
    this.emulator.listen(listener)
  }

  /** The next effect of that kind waits. */
  hold(effect: Effect, when: 'BEFORE' | 'AFTER' = 'BEFORE'): HeldEffect {
    let release = (): void => undefined
    let reached = (): void => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const came = new Promise<void>((resolve) => (reached = resolve))
    this.#holds.push({ effect, when, released, reached })
    return { reached: came, release }
  }

  async #through<T>(effect: Effect, run: () => Promise<T>): Promise<T> {
    const index = this.#holds.findIndex((hold) => hold.effect === effect)
    const [hold] = index === -1 ? [] : this.#holds.splice(index, 1)
    if (hold === undefined) return run()
    if (hold.when === 'AFTER') {
      const result = await run()
      hold.reached()
      await hold.released
      return result
    }
    hold.reached()
    await hold.released
    return run()
  }

  devices(): readonly DeviceFacts[] {
    return this.emulator.devices()
  }

  attachDevice(device: string, session: SessionId): Promise<undefined> {
    return this.#through('attachDevice', () => this.emulator.attachDevice(device, session))
  }

  detachDevice(device: string, session: SessionId): Promise<void> {
    return this.#through('detachDevice', () => this.emulator.detachDevice(device, session))
  }

  bind(request: BindRequest): Promise<undefined> {
    return this.#through('bind', () => this.emulator.bind(request))
  }

  replace(request: BindRequest, old: Pick<Binding, 'table' | 'domain'>): Promise<undefined> {
    return this.#through('replace', () => this.emulator.replace(request, old))
  }

  unbind(place: Place): Promise<void> {
    return this.#through('unbind', () => this.emulator.unbind(place))
  }

  invalidate(request: InvalidateRequest): Promise<void> {
    return this.#through('invalidate', () => this.emulator.invalidate(request))
  }

  respond(answer: PageRequestAnswer): Promise<void> {
    return this.#through('respond', () => this.emulator.respond(answer))
  }

  observe(): Promise<Observed> {
    return this.emulator.observe()
  }

  health(): BackendHealth {
    return this.emulator.health()
  }

  close(): Promise<void> {
    return this.emulator.close()
  }
}
