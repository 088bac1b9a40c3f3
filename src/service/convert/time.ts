/** Moments and spans in milliseconds, as Google's well-known types. */

export function timestamp(wallMs: number) {
  return { seconds: Math.floor(wallMs / 1000), nanos: Math.floor(wallMs % 1000) * 1e6 }
}

export function duration(ms: number) {
  return { seconds: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1e6) }
}
