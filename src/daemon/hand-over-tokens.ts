/**
 * Devices that were handed over on the side socket: one-time tokens, to be named in AttachDevice.
 * Holds: the two descriptors behind a token are closed when nobody came for it, and else the
 * caller's.
 */

import fs from 'node:fs'
import type { Caller } from '../broker/caller.js'
import type { Chance, Clock } from '../broker/ports.js'
import { OwnedFd } from '../linux/owned-fd.js'
import type { ReceivedFd } from '../linux/received-fd.js'
import { OneTimeTokens, type Sender } from './one-time-tokens.js'

/** Unused ones: who hands a device over attaches it, and then hands over the next. */
export const HAND_OVERS_MAX = 64
export const HAND_OVERS_PER_USER_MAX = 16
/**
 * VMMs often run as one user: none of them keeps the places of all. A newer one of its own takes
 * the place of its oldest; where it has the user's places through many processes (it forks), one
 * of another process does; and where users have all places, one of a user who has fewer.
 */
export const HAND_OVERS_PER_PROCESS_MAX = 4
const LIMITS = {
  all: HAND_OVERS_MAX,
  perUser: HAND_OVERS_PER_USER_MAX,
  perProcess: HAND_OVERS_PER_PROCESS_MAX,
}
export const NO_ROOM_FOR_DEVICES =
  `too many devices were handed over and not attached (at most ${HAND_OVERS_MAX} by all, and no ` +
  'user has more of them than yours); attach some, or send it again when tokens have expired'

/** The two descriptors that were sent together. */
export interface SentDevice {
  readonly iommufd: ReceivedFd
  readonly cdev: ReceivedFd
}

/**
 * The last close of a device that somebody has bound resets it, which takes as long as the device
 * likes: plain close() is done on another thread.
 */
class HandedOverFd extends OwnedFd {
  override close(): void {
    fs.close(this.release(), () => undefined)
  }
}

function letGo({ iommufd, cdev }: SentDevice): void {
  cdev.discard()
  iommufd.discard()
}

export class HandOverTokens {
  readonly #tokens: OneTimeTokens<SentDevice>

  constructor(clock: Clock, chance: Chance) {
    this.#tokens = new OneTimeTokens({ clock, chance }, LIMITS, letGo)
  }

  get outstanding(): number {
    return this.#tokens.outstanding
  }

  /** Whether one more may be issued to the sender. */
  hasRoom(sender: Sender): boolean {
    return this.#tokens.hasRoom(sender.uid, sender.process)
  }

  /** 64 hex digits; undefined when as many as may be wait to be used. Takes both over. */
  issue(device: SentDevice, sender: Sender): string | undefined {
    return this.#tokens.issue(device, sender)
  }

  /** Both are the caller's then. Undefined as OneTimeTokens.take() says. */
  take(
    token: string,
    caller: Caller,
  ): { readonly iommufd: OwnedFd; readonly cdev: OwnedFd } | undefined {
    const taken = this.#tokens.take(token, caller)
    if (taken === undefined) return undefined
    return {
      iommufd: new HandedOverFd(taken.iommufd.take(), 'an iommufd that was handed over'),
      cdev: new HandedOverFd(taken.cdev.take(), 'a device that was handed over'),
    }
  }

  /** Closes what waits; for the end of the daemon. */
  close(): void {
    this.#tokens.close()
  }
}
