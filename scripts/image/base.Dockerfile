# Stands in for Docker Hub's node image where no registry can be reached: the same Debian, Node and npm from their own
# sources. Build context: debian.tar, node (the binary), npm (the package) and ca.pem
# (certificates that this machine trusts beside Node's own).
FROM scratch
ADD debian.tar /
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN chmod 0755 /usr/local/bin/node \
 && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && chmod 0755 /usr/local/lib/node_modules/npm/bin/npm-cli.js \
 && groupadd --gid 1000 node \
 && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY ca.pem /etc/ssl/ca.pem
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/ca.pem \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
