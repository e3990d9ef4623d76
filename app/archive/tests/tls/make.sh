#!/bin/sh
# Makes the certificates of the tests on loopback anew: an authority, a server it vouches for, a server of another name that it
# vouches for, and a server nobody vouches for. They protect nothing; the keys are public on purpose.
set -eu
cd "$(dirname "$0")"
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }
key authority.key
openssl req -x509 -new -key authority.key -days 36500 -subj "/CN=Asterism test authority" \
  -addext "basicConstraints=critical,CA:TRUE" -out authority.pem
leaf() {
  key "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=Asterism test server" -out "$1.csr"
  printf 'basicConstraints=CA:FALSE\nsubjectAltName=%s\n' "$2" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA authority.pem -CAkey authority.key -CAcreateserial -days 36500 -extfile "$1.ext" -out "$1.pem"
  rm "$1.csr" "$1.ext"
}
leaf server "DNS:localhost,IP:127.0.0.1,DNS:mast.stsci.edu"
leaf elsewhere "DNS:elsewhere.example"
key alone.key
openssl req -x509 -new -key alone.key -days 36500 -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost" \
  -addext "basicConstraints=critical,CA:FALSE" -out alone.pem
rm -f authority.key authority.srl
