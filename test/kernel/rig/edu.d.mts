/** The types of edu.mjs, which processes of the tests run as it is. */
export class Edu {
  constructor(fd: number)
  take(address: number, bytes: number): Promise<void>
  give(address: number, bytes: number): Promise<void>
}
