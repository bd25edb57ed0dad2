/// The obvious version of every operation, which fast kernels are checked against.
///
/// Floats are summed in double precision. Each file of `Fast` has its twin here.
package enum Reference {}
