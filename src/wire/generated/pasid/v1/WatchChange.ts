// Original file: proto/pasid/v1/operator.proto

import type { WatchEvent as _pasid_v1_WatchEvent, WatchEvent__Output as _pasid_v1_WatchEvent__Output } from '../../pasid/v1/WatchEvent.js';
import type { Long } from '@grpc/proto-loader';

export interface WatchChange {
  'revision'?: (number | string | Long);
  'events'?: (_pasid_v1_WatchEvent)[];
}

export interface WatchChange__Output {
  'revision': (string);
  'events': (_pasid_v1_WatchEvent__Output)[];
}
