//! TLS to a server that has to be who it should be: nothing is sent inside before that is decided.
//!
//! A server that is not trusted is refused in the middle of the handshake: no name, no greeting, no password is
//! encrypted for it. What was decided is kept only when the handshake has proven that the server has the key.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier as Authorities;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::chain::{self, Chain};
use super::trust::{Decision, Doubt, Known, decide};
use crate::config::{Proof, Server, Trust};
use crate::fingerprint::Fingerprint;

/// PROTOCOL.md, section 11: what the client may offer.
const ALPN: &[u8] = b"bellhop/1";

/// Why there is no connection.
pub(crate) enum TlsError {
    /// The server presents this key, and is not trusted.
    Untrusted(Fingerprint, Doubt),
    /// A reason for a person.
    Failed(String),
}

/// A server that was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) chain: Chain,
    pub(crate) by: Known,
    /// What is kept of the server must be replaced with `by`.
    pub(crate) keep: bool,
    /// The key that was known, which vouches for the new one.
    pub(crate) moved_from: Option<Fingerprint>,
}

/// Speaks TLS over `socket`, to `server` alone.
pub(crate) async fn secure(
    socket: TcpStream,
    server: &Server,
    trust: &Trust,
    known: Option<Known>,
) -> Result<Accepted, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let (given, proof) = (trust.fingerprint, trust.proof);
    let found = Mutex::default();
    let verifier = Arc::new(Verifier { provider: provider.clone(), given, known, proof, found });
    let connector = TlsConnector::from(Arc::new(config(provider, verifier.clone()).map_err(unexpected)?));
    let name = ServerName::try_from(server.host().to_owned())
        .map_err(|_| TlsError::Failed(format!("{} is no name that TLS can ask for", server.host())))?;
    let connected = connector.connect(name, socket).await;
    let found = verifier.found.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (connected, found) {
        (Ok(stream), Some((chain, Decision::Accept { by, keep, moved_from }))) => {
            Ok(Accepted { stream, chain, by, keep, moved_from })
        }
        (_, Some((chain, Decision::Refuse(doubt)))) => Err(TlsError::Untrusted(chain.key, doubt)),
        (Ok(_), None) => Err(TlsError::Failed(format!("{server} showed no certificate"))),
        (Err(error), _) => Err(TlsError::Failed(format!("no TLS with {server}: {}", reason(&error)))),
    }
}

fn config(provider: Arc<CryptoProvider>, verifier: Arc<Verifier>) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would not show its certificate again.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn unexpected(error: Error) -> TlsError {
    TlsError::Failed(format!("TLS cannot be set up: {error}"))
}

fn reason(error: &std::io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidMessage(_)) => "what answers there speaks something else".into(),
        Some(Error::InvalidCertificate(_)) => {
            "its certificate cannot be read, or its key is not proven".into()
        }
        _ if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it closed the connection in the middle of the handshake".into()
        }
        Some(error) => error.to_string(),
        None => error.to_string(),
    }
}

/// Looks at the certificates, decides, and remembers what it saw.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    given: Option<Fingerprint>,
    known: Option<Known>,
    proof: Proof,
    found: Mutex<Option<(Chain, Decision)>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        first: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = chain::read(first, rest).ok_or(CertificateError::BadEncoding)?;
        let vouched = || {
            // Read anew each time: an authority that was added or removed counts at once. A machine without any
            // vouches for nobody.
            let authorities = Authorities::new(self.provider.clone());
            authorities.is_ok_and(|all| all.verify_server_cert(first, rest, name, ocsp, now).is_ok())
        };
        let decision = decide(self.given, self.known, self.proof, &chain, vouched);
        let accepted = matches!(decision, Decision::Accept { .. });
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((chain, decision));
        if accepted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
