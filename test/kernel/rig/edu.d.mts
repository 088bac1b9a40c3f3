/** The types of edu.mjs, which processes of the tests run as it is. */
export class Edu {
  constructor(fd: number)
  take(address: number, bytes: number): Promise<void>
  give(address: number, bytes: number): Promise<void>
}

/** Where memory begins in the IOAS, and from where in it to where a round copies. */
export interface DmaPlace {
  readonly iova: number
  readonly source: number
  readonly target: number
  readonly bytes: number
}

export interface DmaCounts {
  readonly rounds: number
  readonly wrong: number
}

export class DmaLoop {
  constructor(edu: Edu, memory: number, place: DmaPlace)
  stop(): Promise<DmaCounts>
}
