// Original file: proto/pasid/v1/operator.proto

import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';
import type { Long } from '@grpc/proto-loader';

export interface ListSessionsResponse {
  'sessions'?: (_pasid_v1_Session)[];
  'nextPageToken'?: (string);
  'revision'?: (number | string | Long);
}

export interface ListSessionsResponse__Output {
  'sessions': (_pasid_v1_Session__Output)[];
  'nextPageToken': (string);
  'revision': (string);
}
