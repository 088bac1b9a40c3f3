// Original file: proto/pasid/v1/pasid_broker.proto

import type { RequestedPage as _pasid_v1_RequestedPage, RequestedPage__Output as _pasid_v1_RequestedPage__Output } from '../../pasid/v1/RequestedPage.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';

export interface PageRequest {
  'token'?: (Buffer | Uint8Array | string);
  'device'?: (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'pages'?: (_pasid_v1_RequestedPage)[];
  'deadline'?: (_google_protobuf_Timestamp | null);
  'target'?: "pasid"|"rid";
}

export interface PageRequest__Output {
  'token': (Buffer);
  'device': (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'pages': (_pasid_v1_RequestedPage__Output)[];
  'deadline': (_google_protobuf_Timestamp__Output | null);
  'target'?: "pasid"|"rid";
}
