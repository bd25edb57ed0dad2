import KaratTensors

/// One of several files that hold a model together.
///
/// The metadata say which: `split.no`, from 0 on, `split.count` and `split.tensors.count`. The names
/// end in `-00001-of-00003.gguf`.
struct GGUFSplit {
  private let number: Int
  private let count: Int
  /// How many tensors all parts hold, or nil where the file does not say.
  private let tensorCount: Int?
  private let path: String

  private static let most = 99_999

  /// Reads what a file says about parts, or gives nil where it holds a whole model.
  init?(_ metadata: GGUFMetadata, path: String) throws(CheckpointError) {
    guard let value = metadata["split.count"] else { return nil }
    guard let count = value.int, 0...Self.most ~= count else {
      throw CheckpointError(
        .malformed,
        file: path,
        "'split.count' is \(value.summary); 0 to \(Self.most) was needed."
      )
    }
    guard count > 1 else { return nil }
    guard let number = metadata["split.no"]?.int, 0..<count ~= number else {
      throw CheckpointError(
        .malformed,
        file: path,
        "'split.no' is \(metadata["split.no"]?.summary ?? "not there"); a number below the \(count)"
          + " of 'split.count' was needed."
      )
    }
    self.number = number
    self.count = count
    tensorCount = metadata["split.tensors.count"]?.int
    self.path = path
  }

  /// The paths of all parts in order, told by that of the first one.
  ///
  /// - Throws: `CheckpointError` where this is not the first, or its name is not that of a part.
  func paths() throws(CheckpointError) -> [String] {
    let ending = Self.ending(number, of: count)
    guard path.hasSuffix(ending) else {
      throw CheckpointError(
        .unsupported,
        file: path,
        "it is part \(number + 1) of \(count) of a model; its name must end in '\(ending)' for the"
          + " others to be found."
      )
    }
    let stem = path.dropLast(ending.count)
    guard number == 0 else {
      throw CheckpointError(
        .unsupported,
        file: path,
        "it is part \(number + 1) of \(count) of a model. Open the first one,"
          + " '\(stem)\(Self.ending(0, of: count))'."
      )
    }
    return (0..<count).map { stem + Self.ending($0, of: count) }
  }

  /// Checks that a file is the part that its name says.
  func check(_ part: GGUFSplit?, at index: Int, path: String) throws(CheckpointError) {
    guard let part, part.number == index, part.count == count else {
      throw CheckpointError(
        .malformed,
        file: path,
        (part.map { "it says that it is part \($0.number + 1) of \($0.count)" }
          ?? "it does not say that it is a part") + "; part \(index + 1) of \(count) was needed."
      )
    }
  }

  /// Checks that the parts hold as many tensors as was said.
  func check(tensorCount found: Int) throws(CheckpointError) {
    guard tensorCount ?? found == found else {
      throw CheckpointError(
        .malformed,
        file: path,
        "its parts hold \(found) tensors; 'split.tensors.count' says \(tensorCount ?? 0)."
      )
    }
  }

  private static func ending(_ number: Int, of count: Int) -> String {
    func digits(_ number: Int) -> String {
      String(repeating: "0", count: max(5 - String(number).count, 0)) + String(number)
    }
    return "-\(digits(number + 1))-of-\(digits(count)).gguf"
  }
}
