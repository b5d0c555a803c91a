//! Whether the chain has the node as it declares itself.

use chroom_primitives::{CapacityClass, Endpoint, H3Cell, NodeId, NodeStatus, Role, record::Registration};

/// What the node's operator said on the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Declared {
    /// The node.
    pub node: NodeId,
    /// Its place.
    pub cell: H3Cell,
    /// Its class.
    pub class: CapacityClass,
    /// Where orchestrators reach it.
    pub endpoint: Endpoint,
    /// The wallet's file, as it was given, for the advice in errors.
    pub wallet: String,
}

/// How the node stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In service.
    Active,
    /// Takes no new sessions.
    Draining,
}

/// Why the node may not serve, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StandingError {
    /// Not registered.
    #[error("node {} is not registered on the chain. Register it:\n  {}", .0.node, register(.0))]
    Unregistered(Box<Declared>),
    /// Registered as something else.
    #[error(
        "node {node} is registered as {role:?}, not as a media node: use a wallet of its own for each node (chroom wallet create --out <file>)"
    )]
    WrongRole {
        /// The node.
        node: NodeId,
        /// Its role.
        role: Role,
    },
    /// Out of service.
    #[error("node {node} is out of service on the chain ({status:?}); `chroom node status {node}` says more")]
    OutOfService {
        /// The node.
        node: NodeId,
        /// Its status.
        status: NodeStatus,
    },
    /// Another class.
    #[error(
        "node {node} is registered with class {registered:?}, but --class says {declared:?}. Start it with the registered one, or run:\n  \
         chroom node update {node} --owner <owner's keystore> --class {}", class_name(*declared)
    )]
    WrongClass {
        /// The node.
        node: NodeId,
        /// The class on the chain.
        registered: CapacityClass,
        /// The class declared.
        declared: CapacityClass,
    },
    /// Another endpoint.
    #[error(
        "node {node} is registered at {registered}, but serves at {declared}. Start it with --rpc-listen (or --rpc-advertise) {registered}, \
         or run:\n  chroom node update {node} --owner <owner's keystore> --endpoint {declared}"
    )]
    WrongEndpoint {
        /// The node.
        node: NodeId,
        /// The endpoint on the chain.
        registered: Endpoint,
        /// The endpoint declared.
        declared: Endpoint,
    },
    /// Another place.
    #[error(
        "node {node} is registered at cell {registered:x}, but --cell says {declared:x}. Start it with the registered one, or run:\n  \
         chroom node update {node} --owner <owner's keystore> --cell {declared:x}"
    )]
    WrongCell {
        /// The node.
        node: NodeId,
        /// The cell on the chain.
        registered: u64,
        /// The cell declared.
        declared: u64,
    },
}

fn class_name(class: CapacityClass) -> &'static str {
    match class {
        CapacityClass::Small => "small",
        CapacityClass::Medium => "medium",
        CapacityClass::Large => "large",
    }
}

fn register(declared: &Declared) -> String {
    format!(
        "chroom node register --owner <owner's keystore> --wallet {} --role media --class {} --endpoint {} --cell {:x}",
        declared.wallet,
        class_name(declared.class),
        declared.endpoint,
        declared.cell.0
    )
}

/// Judges a registration.
pub fn judge(registration: Option<&Registration>, declared: &Declared) -> Result<Standing, StandingError> {
    let node = declared.node;
    let Some(registration) = registration else {
        return Err(StandingError::Unregistered(Box::new(declared.clone())));
    };
    if registration.role != Role::Media {
        return Err(StandingError::WrongRole { node, role: registration.role });
    }
    let standing = match registration.status {
        NodeStatus::Active => Standing::Active,
        NodeStatus::Draining => Standing::Draining,
        status => return Err(StandingError::OutOfService { node, status }),
    };
    if registration.class != declared.class {
        let (registered, declared) = (registration.class, declared.class);
        return Err(StandingError::WrongClass { node, registered, declared });
    }
    if registration.endpoint != declared.endpoint {
        let (registered, declared) = (registration.endpoint.clone(), declared.endpoint.clone());
        return Err(StandingError::WrongEndpoint { node, registered, declared });
    }
    if registration.cell != declared.cell {
        let (registered, declared) = (registration.cell.0, declared.cell.0);
        return Err(StandingError::WrongCell { node, registered, declared });
    }
    Ok(standing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::AccountId;

    fn declared() -> Declared {
        Declared {
            node: NodeId([7; 20]),
            cell: H3Cell(0x0851_fae0_7fff_ffff),
            class: CapacityClass::Small,
            endpoint: "127.0.0.1:7400".parse().unwrap(),
            wallet: "media.json".into(),
        }
    }

    fn registration() -> Registration {
        let declared = declared();
        Registration {
            node: declared.node,
            owner: AccountId::new([1; 32]),
            role: Role::Media,
            status: NodeStatus::Active,
            cell: declared.cell,
            class: declared.class,
            endpoint: declared.endpoint,
            bond: 1,
            price_per_gib: 0,
        }
    }

    #[test]
    fn a_matching_registration_is_good() {
        assert_eq!(judge(Some(&registration()), &declared()), Ok(Standing::Active));
        let draining = Registration { status: NodeStatus::Draining, ..registration() };
        assert_eq!(judge(Some(&draining), &declared()), Ok(Standing::Draining));
    }

    #[test]
    fn each_difference_is_refused_with_what_to_run() {
        let message =
            |registration: Option<Registration>| judge(registration.as_ref(), &declared()).unwrap_err().to_string();
        let cases = [
            (None, "chroom node register --owner <owner's keystore> --wallet media.json --role media --class small"),
            (Some(Registration { role: Role::Registry, ..registration() }), "wallet of its own"),
            (Some(Registration { status: NodeStatus::Jailed, ..registration() }), "chroom node status"),
            (Some(Registration { class: CapacityClass::Large, ..registration() }), "--class small"),
            (
                Some(Registration { endpoint: "127.0.0.1:1".parse().unwrap(), ..registration() }),
                "--endpoint 127.0.0.1:7400",
            ),
            (Some(Registration { cell: H3Cell(0x0851_fae0_3fff_ffff), ..registration() }), "--cell 851fae07fffffff"),
        ];
        for (registration, expected) in cases {
            let text = message(registration);
            assert!(text.contains(expected), "{text}");
        }
    }
}
