// Original file: proto/pasid/v1/pasid_broker.proto


export interface GetSessionRequest {
  'name'?: (string);
}

export interface GetSessionRequest__Output {
  'name': (string);
}
