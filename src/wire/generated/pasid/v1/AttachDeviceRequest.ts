// Original file: proto/pasid/v1/pasid_broker.proto

import type { HandOver as _pasid_v1_HandOver, HandOver__Output as _pasid_v1_HandOver__Output } from '../../pasid/v1/HandOver.js';

export interface AttachDeviceRequest {
  'session'?: (string);
  'requestId'?: (string);
  'device'?: (string);
  'handOver'?: (_pasid_v1_HandOver | null);
}

export interface AttachDeviceRequest__Output {
  'session': (string);
  'requestId': (string);
  'device': (string);
  'handOver': (_pasid_v1_HandOver__Output | null);
}
