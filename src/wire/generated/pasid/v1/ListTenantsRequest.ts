// Original file: proto/pasid/v1/operator.proto


export interface ListTenantsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListTenantsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
}
