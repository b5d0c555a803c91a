//! Questions to the pallets' view functions.

use crate::{QueryError, query::AtBlock};
use subxt::{
    ext::codec::{Decode, DecodeAll, Encode},
    view_functions::Payload,
};

/// Asks a view function.
///
/// The runtime takes the function's id and its arguments as one byte string, and answers with another inside of a `Result`. subxt 0.51 knows
/// how to encode the arguments, but leaves out the first string's length and takes the answer for the value itself, so both are done here.
pub(crate) async fn call<P>(at: &AtBlock, question: &P) -> Result<P::ReturnType, QueryError>
where
    P: Payload,
    P::ReturnType: Decode,
{
    let functions = at.view_functions();
    functions.validate(question).map_err(subxt::Error::from)?;
    let encoded = functions.encode_args(question).map_err(subxt::Error::from)?;
    let arguments = split(&encoded).ok_or_else(|| QueryError::Node("a view function without an id".into()))?;
    let answer = functions.call_raw(Some(&arguments)).await.map_err(subxt::Error::from)?;
    answered(&answer)
        .map_err(|reason| QueryError::Node(format!("the view function {}: {reason}", question.function_name())))
}

/// The id as it is, the arguments with their length.
fn split(encoded: &[u8]) -> Option<Vec<u8>> {
    let (id, arguments) = encoded.split_first_chunk::<32>()?;
    Some((id, arguments.to_vec()).encode())
}

/// The value in a `Result<Vec<u8>, ViewFunctionDispatchError>`.
fn answered<T: Decode>(mut answer: &[u8]) -> Result<T, &'static str> {
    const MALFORMED: &str = "its answer cannot be read";
    match u8::decode(&mut answer) {
        Ok(0) => {
            let value = Vec::<u8>::decode_all(&mut answer).map_err(|_| MALFORMED)?;
            T::decode_all(&mut value.as_slice()).map_err(|_| MALFORMED)
        }
        Ok(1) => Err("the runtime does not have it, or takes other arguments"),
        _ => Err(MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_answers_are_byte_strings() {
        let id = [7u8; 32];
        let arguments = split(&[&id[..], &[1, 2, 3]].concat()).unwrap();
        assert_eq!(arguments, [&id[..], &[12, 1, 2, 3]].concat());
        assert_eq!(split(&[7; 31]), None);
        let answer: Result<Vec<u8>, ()> = Ok(5u128.encode());
        assert_eq!(answered::<u128>(&answer.encode()), Ok(5));
        assert!(answered::<u64>(&answer.encode()).unwrap_err().contains("cannot be read"));
        assert!(answered::<u128>(&[1, 0]).unwrap_err().contains("does not have it"));
        assert!(answered::<u128>(&[]).is_err() && answered::<u128>(&5u128.encode()).is_err());
    }
}
