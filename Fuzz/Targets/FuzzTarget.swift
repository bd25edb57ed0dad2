/// A reader that is fed with arbitrary bytes.
///
/// It must read them or throw a typed error, without a trap, in bounded time and memory. What it
/// reads must keep its own promises.
package struct FuzzTarget: Sendable {
  /// The name, as in `karat-fuzz safetensors`.
  package let name: String
  /// Folders whose files are where the search starts, from the project's own.
  package let seeds: [String]
  /// The longest input in bytes that is tried.
  package let longestInput: Int
  /// Reads bytes; traps where the reader breaks a promise.
  package let run: @Sendable (UnsafeRawBufferPointer) -> Void

  /// Every target; failing inputs are kept in `fixtures/fuzz`, in a folder of the target's name.
  package static let all: [FuzzTarget] = [
    .safetensors, .gguf, .index, .config, .tokenizer, .pytorch, .kcf,
  ]
}

/// Traps where a promise does not hold, in release builds too.
func require(_ promise: Bool, _ what: @autoclosure () -> String) {
  if !promise { fatalError(what()) }
}
