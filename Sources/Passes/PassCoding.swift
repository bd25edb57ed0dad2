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

  /// Checks that all numbers are finite, which no limit of an option says by itself.
  package func checkNumbers() throws(PassError) {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: Self.infinite,
      negativeInfinity: "-" + Self.infinite,
      nan: Self.noNumber
    )
    guard let data = try? encoder.encode(self),
      let options = (try? JSONValue.parse([UInt8](data)))?.object
    else { return }
    for (name, value) in options.members {
      let text = value.string ?? ""
      try require(
        ![Self.infinite, "-" + Self.infinite, Self.noNumber].contains(text),
        "\(name) is \(text); a finite number is needed."
      )
    }
  }

  private static var infinite: String { "infinity" }
  private static var noNumber: String { "not a number" }

  /// Checks that options lie within their limits.
  func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(PassError) {
    if !condition { throw PassError(Self.name, message()) }
  }
}

extension Pass {
  /// Checks that there is a layer to work on, and says where the model is quantized already.
  func requireLayer(
    _ isThere: Bool,
    in model: Model,
    _ message: String
  ) throws(PassError) {
    guard !isThere else { return }
    let quantized = try? model.graph.withRoundedWeights().layers
    let isQuantized = quantized?.isEmpty == false
    throw PassError(
      Self.name,
      message
        + (isQuantized
          ? " The model is quantized already. Begin with the one that it was made of." : "")
    )
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
