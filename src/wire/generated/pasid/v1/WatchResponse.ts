// Original file: proto/pasid/v1/operator.proto

import type { WatchStarted as _pasid_v1_WatchStarted, WatchStarted__Output as _pasid_v1_WatchStarted__Output } from '../../pasid/v1/WatchStarted.js';
import type { WatchChange as _pasid_v1_WatchChange, WatchChange__Output as _pasid_v1_WatchChange__Output } from '../../pasid/v1/WatchChange.js';
import type { WatchResync as _pasid_v1_WatchResync, WatchResync__Output as _pasid_v1_WatchResync__Output } from '../../pasid/v1/WatchResync.js';

export interface WatchResponse {
  'started'?: (_pasid_v1_WatchStarted | null);
  'change'?: (_pasid_v1_WatchChange | null);
  'resync'?: (_pasid_v1_WatchResync | null);
  'response'?: "started"|"change"|"resync";
}

export interface WatchResponse__Output {
  'started'?: (_pasid_v1_WatchStarted__Output | null);
  'change'?: (_pasid_v1_WatchChange__Output | null);
  'resync'?: (_pasid_v1_WatchResync__Output | null);
  'response'?: "started"|"change"|"resync";
}
