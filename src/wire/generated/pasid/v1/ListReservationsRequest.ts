// Original file: proto/pasid/v1/operator.proto


export interface ListReservationsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListReservationsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
}
