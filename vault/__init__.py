"""Where credentials come from, and the only room that holds one longer than a request.

`Secret` hides a value, `Reference` names one, `Broker` leases one to a vouched permit. Two backends:
`LocalVault`, an encrypted file, and `HashicorpVault`, for HashiCorp Vault and OpenBao.
Imports only the nouns and `gateway.errors` of the program.
"""
