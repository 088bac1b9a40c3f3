/**
 * Where a session's guest-physical addresses lead: its second stage, and the memory behind it. An
 * entry's SLPTPTR names the space by the address of its top-level table, as on hardware; the
 * registry turns that address back into the space.
 *
 * For now the second stage is the identity on the addresses of its width: its tables are one
 * reserved frame without content. A real one takes the place of `resolve` and of nothing else.
 * Called by the page walks; made and dropped by the emulator with the session's attachments.
 */

import { assert } from '../../core/assert.js'
import type { SessionId } from '../../core/ids.js'
import type { GuestMemory, HostMemory } from './memory.js'
import type { SecondStageWidth } from './pasid-entry.js'

/** Four levels: what the recorded host uses. */
export const SECOND_STAGE_WIDTH: SecondStageWidth = 48
/** The identity has no leaves of its own: only the first stage's size counts. */
const IDENTITY_ORDER = 52

export interface Resolved {
  /** Host-physical. */
  readonly address: number
  /** Of the second stage's leaf. */
  readonly order: number
}

export class AddressSpace {
  readonly session: SessionId
  /** SLPTPTR. */
  readonly root: number
  readonly width = SECOND_STAGE_WIDTH
  /** What the guest's tables are read from; none = every read fails. */
  memory: GuestMemory | undefined
  /** Attachments of the session. */
  attachments = 0

  constructor(session: SessionId, root: number) {
    this.session = session
    this.root = root
  }

  /** Guest-physical to host-physical; undefined beyond the width of the second stage. */
  resolve(address: number): Resolved | undefined {
    return address < 2 ** this.width ? { address, order: IDENTITY_ORDER } : undefined
  }
}

export class AddressSpaces {
  readonly #memory: HostMemory
  readonly #bySession = new Map<SessionId, AddressSpace>()
  readonly #byRoot = new Map<number, AddressSpace>()

  constructor(memory: HostMemory) {
    this.#memory = memory
  }

  find(session: SessionId): AddressSpace | undefined {
    return this.#bySession.get(session)
  }

  findByRoot(root: number): AddressSpace | undefined {
    return this.#byRoot.get(root)
  }

  ensure(session: SessionId): AddressSpace {
    const known = this.#bySession.get(session)
    if (known !== undefined) return known
    const space = new AddressSpace(session, this.#memory.allocate(1))
    this.#bySession.set(session, space)
    this.#byRoot.set(space.root, space)
    return space
  }

  /** Pairs with ensure(). Nothing is attached, so no entry and no cache names the space. */
  drop(space: AddressSpace): void {
    assert(space.attachments === 0, `session ${space.session} has attachments`)
    this.#bySession.delete(space.session)
    this.#byRoot.delete(space.root)
    this.#memory.release(space.root, 1)
  }
}
