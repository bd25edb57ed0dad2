import Foundation
import KaratBytes
import KaratDatasets
import KaratGraphs
import KaratTensors

// Options that a recipe leaves out keep their defaults.

extension KeyedDecodingContainer {
  func option<T: Decodable>(_ key: Key, default other: T) throws -> T {
    try decodeIfPresent(T.self, forKey: key) ?? other
  }
}

extension Pass {
  /// The options as a record carries them, sorted by name.
  var json: JSONValue {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let data = try? encoder.encode(self), let value = try? JSONValue.parse([UInt8](data))
    else {
      preconditionFailure("options are numbers, words and flags")
    }
    return value
  }

  /// Checks that options lie within their limits.
  func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(PassError) {
    if !condition { throw PassError(Self.name, message()) }
  }
}

extension PassContext {
  /// Windows of the calibration text for a pass: for an encoder whole texts, of as many tokens
  /// together.
  ///
  /// - Throws: `DatasetError` where the text is empty or shorter than a window.
  func windows(count: Int, length: Int) throws(DatasetError) -> [[Int32]] {
    guard calibrationSequences.isEmpty else {
      let (tokens, overflow) = count.multipliedReportingOverflow(by: length)
      return TokenWindows.spread(calibrationSequences, tokens: overflow ? .max : tokens)
    }
    return try TokenWindows(
      calibrating: calibrationTokens,
      count: count,
      length: min(length, maximumLength ?? length),
      name: calibrationName
    ).windows
  }
}

extension PassError {
  /// What layers read holds NaN or infinity, so that no range can hold it.
  static func notFinite(_ pass: String, window: Int, layers: [LinearLayer]) -> PassError {
    let names = layers.map(\.path.quoted).joined(separator: ", ")
    return PassError(
      pass,
      "window \(window): what \(names) reads holds NaN or infinity, so no range can hold it. "
        + "Does the model overflow, or is a weight broken? Try: karat inspect --tensors."
    )
  }
}
